// Prints golden bytes of every message class that Kafka's build generates, by filling the classes through reflection.
// Run by ./make-golden; the format of a line is described in golden.rs.

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.TreeMap;
import java.util.jar.JarFile;
import java.util.zip.CRC32C;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;

public class Golden {
    enum Variant { DEFAULT, FULL, NULLS, MIXED }

    public static void main(String[] args) throws Exception {
        var classes = new TreeMap<String, Class<?>>();
        for (String jar : args) {
            try (var file = new JarFile(jar)) {
                for (var entry : java.util.Collections.list(file.entries())) {
                    String name = entry.getName();
                    if (!name.matches("org/apache/kafka/.*/(message|metadata|generated)/[A-Za-z]+\\.class")) continue;
                    Class<?> c = Class.forName(name.substring(0, name.length() - 6).replace('/', '.'));
                    if (!ApiMessage.class.isAssignableFrom(c) || c.isInterface()) continue;
                    String message = c.getSimpleName().replaceFirst("(Request|Response|Header)Data$", "$1");
                    if (classes.put(message, c) != null) throw new IllegalStateException("twice: " + message);
                }
            }
        }
        for (var entry : classes.entrySet()) {
            var probe = (ApiMessage) entry.getValue().getDeclaredConstructor().newInstance();
            for (short v = probe.lowestSupportedVersion(); v <= probe.highestSupportedVersion(); v++) {
                var seen = new ArrayList<String>();
                for (Variant variant : Variant.values()) {
                    String line = new Golden(entry.getKey(), v, variant).line(entry.getValue());
                    if (!seen.contains(line)) System.out.println(entry.getKey() + " " + v + " " + line);
                    seen.add(line);
                }
            }
        }
    }

    final short version;
    final Variant variant;
    final Random random;

    Golden(String message, short version, Variant variant) {
        this.version = version;
        this.variant = variant;
        this.random = new Random(message.hashCode() * 1000L + version * 10L + variant.ordinal());
    }

    String line(Class<?> c) throws Exception {
        var message = (ApiMessage) c.getDeclaredConstructor().newInstance();
        if (variant != Variant.DEFAULT) fill(message, ((Schema[]) c.getField("SCHEMAS").get(null))[version]);
        var cache = new ObjectSerializationCache();
        var buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) throw new IllegalStateException("size of " + c);
        var dump = new StringBuilder();
        dump(message, dump);
        if (Boolean.getBoolean("dump")) System.err.println(c.getSimpleName() + " " + version + " " + dump);
        var crc = new CRC32C();
        crc.update(dump.toString().getBytes(StandardCharsets.UTF_8));
        return String.format("%08x %s", crc.getValue(), HexFormat.of().formatHex(buffer.array()));
    }

    void fill(Object struct, Schema schema) throws Exception {
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                for (var field : tagged.fields().values()) set(struct, field.name, field.type);
            } else {
                set(struct, bound.def.name, bound.def.type);
            }
        }
    }

    void set(Object struct, String snakeName, org.apache.kafka.common.protocol.types.Type type) throws Exception {
        Field field = null;
        for (Field f : fields(struct.getClass())) if (plain(f.getName()).equals(plain(snakeName))) field = f;
        Objects.requireNonNull(field, snakeName + " of " + struct.getClass());
        Object before = field.get(struct);
        Object value;
        int tries = 0;
        do {
            value = value(field.getGenericType(), field.getType(), type);
        } while (variant == Variant.FULL && Objects.equals(value, before) && ++tries < 100);
        field.set(struct, value);
    }

    Object value(Type generic, Class<?> c, org.apache.kafka.common.protocol.types.Type type) throws Exception {
        if (type.isNullable()
            && (variant == Variant.NULLS || variant == Variant.MIXED && random.nextInt(3) == 0)) return null;
        if (Collection.class.isAssignableFrom(c)) return collection(generic, c, type);
        if (c == boolean.class || c == Boolean.class) return random.nextBoolean();
        if (c == byte.class || c == Byte.class) return (byte) number(8);
        if (c == short.class || c == Short.class) return (short) number(16);
        if (c == int.class && type.toString().equals("UINT16")) return (int) number(16) & 0xffff;
        if (c == int.class || c == Integer.class) return (int) number(32);
        if (c == long.class && type.toString().equals("UINT32")) return number(32) & 0xffffffffL;
        if (c == long.class || c == Long.class) return number(64);
        if (c == double.class) return variant == Variant.MIXED ? -0.0 : random.nextDouble() * 1e6;
        if (c == String.class) return text();
        if (c == Uuid.class) return new Uuid(random.nextLong(), random.nextLong());
        if (c == byte[].class) return bytes();
        if (c == ByteBuffer.class) return ByteBuffer.wrap(bytes());
        if (BaseRecords.class.isAssignableFrom(c)) return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
        Object struct = c.getDeclaredConstructor().newInstance();
        fill(struct, (Schema) type);
        return struct;
    }

    @SuppressWarnings("unchecked")
    Object collection(Type generic, Class<?> c, org.apache.kafka.common.protocol.types.Type type) throws Exception {
        var elementType = type.arrayElementType().orElseThrow();
        Collection<Object> out;
        Class<?> element;
        if (c == List.class) {
            out = new ArrayList<>();
            element = (Class<?>) ((ParameterizedType) generic).getActualTypeArguments()[0];
        } else {
            out = (Collection<Object>) c.getDeclaredConstructor().newInstance();
            element = (Class<?>) ((ParameterizedType) c.getGenericSuperclass()).getActualTypeArguments()[0];
        }
        int size = variant == Variant.FULL ? 2 : variant == Variant.NULLS ? 1 : random.nextInt(3);
        for (int i = 0; i < size; i++) out.add(value(element, element, elementType));
        return out;
    }

    long number(int bits) {
        if (variant != Variant.MIXED) return random.nextLong();
        return switch (random.nextInt(4)) {
            case 0 -> -1L << (bits - 1);
            case 1 -> (1L << (bits - 1)) - 1;
            default -> random.nextInt(5) - 2;
        };
    }

    String text() {
        int size = variant == Variant.MIXED && random.nextInt(8) == 0 ? 130 : random.nextInt(5) + 1;
        var out = new StringBuilder();
        for (int i = 0; i < size; i++) out.append("abcdefghijklmnopqrstuvwxyzäöüß東京".charAt(random.nextInt(32)));
        return out.toString();
    }

    byte[] bytes() {
        byte[] out = new byte[variant == Variant.MIXED ? random.nextInt(3) * 70 : random.nextInt(6) + 1];
        random.nextBytes(out);
        return out;
    }

    /** All fields of a struct with their values, whether the version has them or not; the same as golden.rs makes. */
    static void dump(Object value, StringBuilder out) throws Exception {
        if (value == null || value instanceof Boolean || value instanceof Byte || value instanceof Short
            || value instanceof Integer || value instanceof Long || value instanceof Uuid) {
            out.append(value);
        } else if (value instanceof Double d) {
            out.append(HexFormat.of().toHexDigits(Double.doubleToRawLongBits(d)));
        } else if (value instanceof String s) {
            out.append('"').append(s).append('"');
        } else if (value instanceof byte[] b) {
            out.append('<').append(HexFormat.of().formatHex(b)).append('>');
        } else if (value instanceof ByteBuffer b) {
            byte[] copy = new byte[b.remaining()];
            b.duplicate().get(copy);
            dump(copy, out);
        } else if (value instanceof MemoryRecords m) {
            dump(m.buffer(), out);
        } else if (value instanceof Collection<?> list) {
            out.append('[');
            for (Object element : list) {
                dump(element, out);
                out.append(',');
            }
            out.append(']');
        } else {
            out.append('{');
            for (Field f : fields(value.getClass())) {
                out.append(plain(f.getName())).append(':');
                dump(f.get(value), out);
                out.append(',');
            }
            out.append('}');
        }
    }

    static List<Field> fields(Class<?> c) {
        var out = new ArrayList<Field>();
        for (Field f : c.getDeclaredFields()) {
            if (Modifier.isStatic(f.getModifiers()) || f.getName().startsWith("_")) continue;
            if (f.getName().equals("next") || f.getName().equals("prev")) continue;
            f.setAccessible(true);
            out.add(f);
        }
        return out;
    }

    static String plain(String name) {
        return name.replace("_", "").toLowerCase(java.util.Locale.ROOT);
    }
}
