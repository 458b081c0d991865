// What an application does with kafkajs.
// usage: node stories.js BOOTSTRAP     prints `ok NAME` or `not ok NAME: why` for each story
const assert = require("node:assert");
const { randomBytes } = require("node:crypto");
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require("kafkajs");
const lz4 = require("lz4js");
const { ZstdCodec } = require("zstd-codec");

// kafkajs brings gzip alone; the others are for the application to add.
CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  async compress({ buffer }) {
    const frame = Buffer.from(lz4.compress(buffer));
    // One block depends on no other. This library does not say so, and Kafka takes no frame that does not.
    frame[4] = 0x60;
    frame[6] = 0x73; // the header's checksum
    return frame;
  },
  decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
});
const zstd = new Promise((resolve) => ZstdCodec.run((codec) => resolve(new codec.Streaming())));
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }) => Buffer.from((await zstd).compress(buffer)),
  decompress: async (buffer) => Buffer.from((await zstd).decompress(buffer)),
});

const kafka = new Kafka({ clientId: "conformance", brokers: process.argv[2].split(","), logLevel: logLevel.NOTHING });
const name = (what) => `js-${what}-${randomBytes(4).toString("hex")}`;

async function consumeAll(topic, groupId, n) {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 500 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const got = [];
  try {
    await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`read ${got.length} of ${n}`)), 30000);
      consumer.run({
        eachMessage: async ({ partition, message }) => {
          got.push({ partition, key: message.key, value: message.value, headers: message.headers, offset: message.offset, timestamp: message.timestamp });
          if (got.length === n) { clearTimeout(late); resolve(); }
        },
      }).catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
  return got;
}

async function until(what, holds) {
  for (const end = Date.now() + 30000; !(await holds());) {
    assert.ok(Date.now() < end, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const stories = {
  async roundTrip() {
    const admin = kafka.admin();
    await admin.connect();
    for (const [codec, compression] of Object.entries(CompressionTypes)) {
      const topic = name(codec);
      await admin.createTopics({ topics: [{ topic, numPartitions: 2 }], waitForLeaders: true });
      const producer = kafka.producer({ allowAutoTopicCreation: false });
      await producer.connect();
      const messages = [...Array(500).keys()].map((i) => ({ key: `k${i}`, value: `v${i}`, headers: { h: `${i}` } }));
      messages.push({ key: "tombstone", value: null });
      await producer.send({ topic, compression, messages });
      await producer.disconnect();
      const got = new Map((await consumeAll(topic, `g-${topic}`, 501)).map((m) => [m.key.toString(), m]));
      assert.equal(got.get("k7").value.toString(), "v7");
      assert.equal(got.get("k7").headers.h.toString(), "7");
      assert.equal(got.get("tombstone").value, null);
      const offsets = await admin.fetchOffsets({ groupId: `g-${topic}`, topics: [topic] });
      assert.equal(offsets[0].partitions.length, 2);
    }
    await admin.disconnect();
  },

  async idempotentProducer() {
    const topic = name("idem");
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    for (let i = 0; i < 20; i++) await producer.send({ topic, messages: [{ key: "k", value: `${i}` }] });
    await producer.disconnect();
    const got = await consumeAll(topic, `g-${topic}`, 20);
    assert.deepEqual(got.map((m) => Number(m.value.toString())), [...Array(20).keys()]);
  },

  async recordsOfEveryKind() {
    const topic = name("kinds");
    const admin = kafka.admin(), producer = kafka.producer();
    await Promise.all([admin.connect(), producer.connect()]);
    await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
    const big = randomBytes(1_000_000);
    await producer.send({ topic, messages: [
      { key: null, value: "null key", timestamp: "1000000" },
      { key: "", value: "empty key", timestamp: "2000000" },
      { key: "tombstone", value: null, timestamp: "3000000" },
      { key: "empty", value: "", timestamp: "4000000", headers: { a: "1", b: ["2", "3"], empty: "" } },
    ] });
    await producer.send({ topic, messages: [{ key: "big", value: big, timestamp: "5000000" }] });
    await producer.disconnect();
    const got = await consumeAll(topic, `g-${topic}`, 5);
    assert.deepEqual(got.map((m) => m.key && m.key.toString()), [null, "", "tombstone", "empty", "big"]);
    assert.deepEqual(got.slice(0, 4).map((m) => m.value && m.value.toString()), ["null key", "empty key", null, ""]);
    assert.ok(got[4].value.equals(big), "1 MB comes back");
    assert.deepEqual(got.map((m) => m.timestamp), ["1000000", "2000000", "3000000", "4000000", "5000000"]);
    assert.deepEqual(got[3].headers.b.map(String), ["2", "3"]);
    assert.equal(got[3].headers.empty.length, 0);
    const at = async (time) => (await admin.fetchTopicOffsetsByTimestamp(topic, time))[0].offset;
    assert.deepEqual([await at(1), await at(2000001), await at(5000000)], ["0", "2", "4"], "offsets for times");
    await admin.disconnect();
  },

  async seekPauseAndResume() {
    const topic = name("seek");
    const admin = kafka.admin(), producer = kafka.producer();
    await Promise.all([admin.connect(), producer.connect()]);
    await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
    const send = (from, to) => producer.send({ topic, messages: [...Array(to - from).keys()].map((i) => ({ value: `${from + i}` })) });
    await send(0, 100);
    const consumer = kafka.consumer({ groupId: `g-${topic}`, maxWaitTimeInMs: 100 });
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    const got = [];
    await consumer.run({ eachMessage: async ({ message }) => { got.push(Number(message.value.toString())); } });
    consumer.seek({ topic, partition: 0, offset: "90" });
    await until("read from where it was sent to", () => got.at(-1) === 99);
    assert.deepEqual(got.slice(-10), [90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
    consumer.pause([{ topic }]);
    await send(100, 110);
    await until("all are there", async () => (await admin.fetchTopicOffsets(topic))[0].high === "110");
    await new Promise((resolve) => setTimeout(resolve, 500)); // several fetches long: that nothing comes cannot be awaited
    assert.equal(got.at(-1), 99, "nothing is read while paused");
    consumer.resume([{ topic }]);
    await until("goes on when resumed", () => got.at(-1) === 109);
    await Promise.all([consumer.disconnect(), producer.disconnect(), admin.disconnect()]);
  },

  async groupRebalances() {
    const topic = name("rebalance"), groupId = `g-${topic}`;
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: 6 }], waitForLeaders: true });
    const owned = new Map();
    const join = async (member) => {
      const consumer = kafka.consumer({ groupId, heartbeatInterval: 200, maxWaitTimeInMs: 100 });
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => owned.set(member, payload.memberAssignment[topic] || []));
      await consumer.connect();
      await consumer.subscribe({ topics: [topic] });
      await consumer.run({ eachMessage: async () => {} });
      return consumer;
    };
    const shared = (n) => () => owned.size === n && new Set([...owned.values()].flat()).size === 6
      && [...owned.values()].every((partitions) => partitions.length === 6 / n);
    const members = [];
    for (let i = 1; i <= 3; i++) {
      members.push(await join(i));
      await until(`${i} members share all partitions`, shared(i));
    }
    owned.delete(2);
    await members[1].disconnect();
    await until("those that stay share what the one had that left", shared(2));
    const { groups } = await admin.describeGroups([groupId]);
    assert.equal(groups[0].state, "Stable");
    assert.equal(groups[0].members.length, 2);
    await Promise.all([members[0].disconnect(), members[2].disconnect()]);
    await admin.deleteGroups([groupId]);
    await admin.disconnect();
  },

  async adminDescribes() {
    const admin = kafka.admin();
    await admin.connect();
    const topic = name("admin");
    await admin.createTopics({ topics: [{ topic, numPartitions: 3, configEntries: [{ name: "retention.ms", value: "123456" }] }], waitForLeaders: true });
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    assert.equal(topics[0].partitions.length, 3);
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: topic, configNames: ["retention.ms"] }] });
    assert.equal(resources[0].configEntries[0].configValue, "123456");
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
    const cluster = await admin.describeCluster();
    assert.ok(cluster.brokers.length >= 1);
    let offsets = [];
    for (const end = Date.now() + 20000; offsets.length !== 5 && Date.now() < end;)
      offsets = await admin.fetchTopicOffsets(topic).catch(() => []); // the new ones may have no leader yet
    assert.equal(offsets.length, 5);
    await admin.deleteTopics({ topics: [topic] });
    await admin.disconnect();
  },
};

(async () => {
  let failed = false;
  for (const [story, run] of Object.entries(stories)) {
    const begun = Date.now();
    try {
      await run();
      console.log(`ok node/${story} (${Date.now() - begun} ms)`);
    } catch (e) {
      failed = true;
      console.log(`not ok node/${story}: ${String(e.stack).split("\n").slice(0, 3).join(" ")}`);
    }
  }
  process.exit(failed ? 1 : 0);
})();
