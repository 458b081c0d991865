import java.io.BufferedReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32C;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.BufferSupplier;
import org.apache.kafka.common.utils.ByteBufferOutputStream;
import org.apache.kafka.common.utils.CloseableIterator;

/**
 * Batches of records, as Kafka's own classes write and read them.
 *
 * <p>usage: Records write, prints batches made here; Records check FILE, reads batches which another program printed, and
 * fails unless these classes find in them what that program says.
 *
 * <p>A text of lines: "batches NAME HEX" starts a case, "batch MAGIC BASE LAST CODEC TIMESTAMP_TYPE MAX_TIMESTAMP
 * PRODUCER EPOCH SEQUENCE FLAGS" one of its batches, and "record OFFSET TIMESTAMP KEY VALUE HEADERS" one of its records.
 * Bytes are hex in quotes, or length and CRC-32C when they are more than 64; null is null, headers are key=value joined
 * by commas or none.
 */
public final class Records {
    private static final HexFormat HEX = HexFormat.of();
    private static final int LONGEST_SHOWN = 64;
    private static final long TIME = 1_700_000_000_000L;

    private Records() {
    }

    public static void main(String[] args) throws IOException {
        if (args.length == 1 && args[0].equals("write")) {
            write();
        } else if (args.length == 2 && args[0].equals("check")) {
            check(Path.of(args[1]));
        } else {
            System.err.println("usage: Records write | Records check FILE");
            System.exit(2);
        }
    }

    // ---- what is found in bytes

    private static String text(byte[] bytes) {
        if (bytes == null) {
            return "null";
        }
        if (bytes.length > LONGEST_SHOWN) {
            CRC32C sum = new CRC32C();
            sum.update(bytes);
            return bytes.length + ":" + HEX.toHexDigits((int) sum.getValue());
        }
        return '"' + HEX.formatHex(bytes) + '"';
    }

    private static byte[] bytes(ByteBuffer buffer) {
        if (buffer == null) {
            return null;
        }
        byte[] copy = new byte[buffer.remaining()];
        buffer.duplicate().get(copy);
        return copy;
    }

    private static String describe(RecordBatch batch) {
        StringBuilder flags = new StringBuilder("-");
        if (batch.isTransactional()) {
            flags.append("t");
        }
        if (batch.isControlBatch()) {
            flags.append("c");
        }
        if (batch.deleteHorizonMs().isPresent()) {
            flags.append("d").append(batch.deleteHorizonMs().getAsLong());
        }
        return String.join(" ", "batch", "" + batch.magic(), "" + batch.baseOffset(), "" + batch.lastOffset(),
                batch.compressionType().name, batch.timestampType().name, "" + batch.maxTimestamp(),
                "" + batch.producerId(), "" + batch.producerEpoch(), "" + batch.baseSequence(), flags);
    }

    private static String describe(Record record) {
        List<String> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            headers.add(text(header.key().getBytes(StandardCharsets.UTF_8)) + "=" + text(header.value()));
        }
        return String.join(" ", "record", "" + record.offset(), "" + record.timestamp(), text(bytes(record.key())),
                text(bytes(record.value())), headers.isEmpty() ? "none" : String.join(",", headers));
    }

    private static List<String> describe(byte[] bytes) {
        List<String> lines = new ArrayList<>();
        int read = 0;
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches()) {
            batch.ensureValid();
            read += batch.sizeInBytes();
            lines.add(describe(batch));
            int records = 0;
            try (CloseableIterator<Record> found = batch.streamingIterator(BufferSupplier.NO_CACHING)) {
                while (found.hasNext()) {
                    Record record = found.next();
                    record.ensureValid();
                    lines.add(describe(record));
                    records++;
                }
            }
            // The way in which a broker looks at what is produced.
            try (CloseableIterator<Record> found = batch.skipKeyValueIterator(BufferSupplier.NO_CACHING)) {
                while (found.hasNext()) {
                    found.next();
                    records--;
                }
            }
            if (records != 0) {
                throw new IllegalStateException("the two iterators differ by " + records);
            }
        }
        if (read != bytes.length) {
            throw new IllegalStateException("batches take " + read + " of " + bytes.length + " bytes");
        }
        return lines;
    }

    // ---- reading what another program wrote

    private static void check(Path file) throws IOException {
        String name = null;
        byte[] bytes = null;
        List<String> expected = new ArrayList<>();
        int checked = 0;
        int failed = 0;
        try (BufferedReader lines = Files.newBufferedReader(file)) {
            while (true) {
                String line = lines.readLine();
                if (line != null && !line.startsWith("batches ")) {
                    expected.add(line);
                    continue;
                }
                if (name != null) {
                    checked++;
                    failed += same(name, bytes, expected) ? 0 : 1;
                }
                if (line == null) {
                    break;
                }
                String[] parts = line.split(" ", -1);
                name = parts[1];
                bytes = HEX.parseHex(parts[2]);
                expected.clear();
            }
        }
        System.out.println(checked + " checked, " + failed + " wrong");
        System.exit(checked > 0 && failed == 0 ? 0 : 1);
    }

    private static boolean same(String name, byte[] bytes, List<String> expected) {
        List<String> found;
        try {
            found = describe(bytes);
        } catch (RuntimeException e) {
            System.out.println(name + ": " + e);
            return false;
        }
        for (int i = 0; i < Math.max(expected.size(), found.size()); i++) {
            String here = i < found.size() ? found.get(i) : "nothing";
            String there = i < expected.size() ? expected.get(i) : "nothing";
            if (!here.equals(there)) {
                System.out.println(name + ", line " + i + ": found " + here + " instead of " + there);
                return false;
            }
        }
        return true;
    }

    // ---- writing

    private static void print(String name, ByteBuffer buffer) {
        byte[] bytes = bytes(buffer);
        System.out.println("batches " + name + " " + HEX.formatHex(bytes));
        describe(bytes).forEach(System.out::println);
    }

    private static byte[] utf8(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    private static Compression compression(CompressionType type) {
        return Compression.of(type).build();
    }

    private static MemoryRecordsBuilder builder(int magic, Compression compression, TimestampType type, long base) {
        return new MemoryRecordsBuilder(new ByteBufferOutputStream(1024), (byte) magic, compression, type, base,
                type == TimestampType.LOG_APPEND_TIME ? TIME + 5000 : RecordBatch.NO_TIMESTAMP,
                RecordBatch.NO_PRODUCER_ID, RecordBatch.NO_PRODUCER_EPOCH, RecordBatch.NO_SEQUENCE, false, false, 7,
                1 << 24);
    }

    private static void fill(MemoryRecordsBuilder builder, int magic) {
        boolean timed = magic > 0;
        String[][] pairs = {{"key", "value"}, {null, "without key"}, {"tombstone", null}, {"", ""}, {null, null}};
        for (int i = 0; i < pairs.length; i++) {
            long time = timed ? TIME + (i * 37 % 5) * 1000L : RecordBatch.NO_TIMESTAMP;
            builder.append(time, utf8(pairs[i][0]), utf8(pairs[i][1]));
        }
        if (magic == 2) {
            Header[] headers = {new RecordHeader("a", utf8("1")), new RecordHeader("a", null),
                new RecordHeader("", new byte[0]), new RecordHeader("ключ", new byte[] {0, -1, 127})};
            builder.append(TIME, utf8("with"), utf8("headers"), headers);
            builder.append(RecordBatch.NO_TIMESTAMP, utf8("no"), utf8("time"));
            builder.append(0, utf8("begin"), utf8("of time"));
        }
    }

    /** More than one block of every framing, and small when it is packed. */
    private static void fillLarge(MemoryRecordsBuilder builder, int magic) {
        Random random = new Random(7);
        for (int i = 0; i < 90; i++) {
            byte[] value = new byte[2000];
            Arrays.fill(value, (byte) ('a' + i % 26));
            byte[] noise = new byte[8];
            random.nextBytes(noise);
            System.arraycopy(noise, 0, value, 0, noise.length);
            builder.append(magic > 0 ? TIME + i : RecordBatch.NO_TIMESTAMP, utf8("k" + i), value);
        }
    }

    private static void close(String name, MemoryRecordsBuilder builder) {
        print(name, builder.build().buffer());
    }

    private static void write() {
        for (int magic = 0; magic <= 2; magic++) {
            for (CompressionType codec : CompressionType.values()) {
                if (codec == CompressionType.ZSTD && magic < 2) {
                    continue;
                }
                for (long base : new long[] {0, 1L << 40}) {
                    MemoryRecordsBuilder builder =
                            builder(magic, compression(codec), TimestampType.CREATE_TIME, base);
                    fill(builder, magic);
                    close("v" + magic + "-" + codec.name + "-at-" + base, builder);
                }
                if (magic > 0) {
                    MemoryRecordsBuilder builder =
                            builder(magic, compression(codec), TimestampType.LOG_APPEND_TIME, 3);
                    fill(builder, magic);
                    close("v" + magic + "-" + codec.name + "-append-time", builder);
                }
                if (codec != CompressionType.NONE) {
                    MemoryRecordsBuilder builder =
                            builder(magic, compression(codec), TimestampType.CREATE_TIME, 10);
                    fillLarge(builder, magic);
                    close("v" + magic + "-" + codec.name + "-large", builder);
                }
                gaps(magic, codec);
            }
        }
        levels();
        producers();
        control();
    }

    /** What compaction leaves: offsets with gaps, and the last record gone. */
    private static void gaps(int magic, CompressionType codec) {
        MemoryRecordsBuilder builder = builder(magic, compression(codec), TimestampType.CREATE_TIME, 20);
        long time = magic > 0 ? TIME : RecordBatch.NO_TIMESTAMP;
        builder.appendWithOffset(21, time, utf8("a"), utf8("1"));
        builder.appendWithOffset(25, time, utf8("b"), utf8("2"));
        if (magic == 2) {
            builder.overrideLastOffset(29);
        }
        close("v" + magic + "-" + codec.name + "-gaps", builder);
    }

    private static void levels() {
        List<Compression> all = List.of(Compression.gzip().level(1).build(), Compression.gzip().level(9).build(),
                Compression.lz4().level(1).build(), Compression.lz4().level(17).build(),
                Compression.zstd().level(-5).build(), Compression.zstd().level(22).build());
        int n = 0;
        for (Compression compression : all) {
            MemoryRecordsBuilder builder = builder(2, compression, TimestampType.CREATE_TIME, 0);
            fillLarge(builder, 2);
            close("level-" + n++ + "-" + compression.type().name, builder);
        }
    }

    private static void producers() {
        for (boolean transactional : new boolean[] {false, true}) {
            MemoryRecordsBuilder builder = new MemoryRecordsBuilder(new ByteBufferOutputStream(1024),
                    RecordBatch.CURRENT_MAGIC_VALUE, Compression.NONE, TimestampType.CREATE_TIME, 100,
                    RecordBatch.NO_TIMESTAMP, 4711, (short) 3, Integer.MAX_VALUE - 1, transactional, false, 9, 1 << 20);
            fill(builder, 2);
            close(transactional ? "transactional" : "idempotent", builder);
        }
        MemoryRecordsBuilder horizon = new MemoryRecordsBuilder(new ByteBufferOutputStream(1024),
                RecordBatch.CURRENT_MAGIC_VALUE, Compression.NONE, TimestampType.CREATE_TIME, 100,
                RecordBatch.NO_TIMESTAMP, -1, (short) -1, -1, false, false, 9, 1 << 20, TIME + 86_400_000L);
        fill(horizon, 2);
        close("delete-horizon", horizon);
    }

    private static void control() {
        for (ControlRecordType type : List.of(ControlRecordType.ABORT, ControlRecordType.COMMIT)) {
            EndTransactionMarker marker = new EndTransactionMarker(type, 258);
            print("marker-" + type.name().toLowerCase(),
                    MemoryRecords.withEndTransactionMarker(50, TIME, 6, 4711, (short) 3, marker).buffer());
        }
    }
}
