// What an application does with kafkajs.
// usage: node stories.js BOOTSTRAP     prints `ok NAME` or `not ok NAME: why` for each story
const assert = require("node:assert");
const { randomBytes } = require("node:crypto");
const { Kafka, CompressionTypes, logLevel } = require("kafkajs");

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
          got.push({ partition, key: message.key, value: message.value, headers: message.headers, offset: message.offset });
          if (got.length === n) { clearTimeout(late); resolve(); }
        },
      }).catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
  return got;
}

const stories = {
  async roundTrip() {
    const admin = kafka.admin();
    await admin.connect();
    for (const [codec, compression] of [["none", CompressionTypes.None], ["gzip", CompressionTypes.GZIP]]) {
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
