/* What an application does with librdkafka, from C.
 * usage: stories BOOTSTRAP     prints `ok NAME` or `not ok NAME: why` for each story */
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *bootstrap;
static char why[512];

static int fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  return 1;
}

static rd_kafka_t *client(rd_kafka_type_t type, ...) {
  char error[512];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, error, sizeof error);
  va_list args;
  va_start(args, type);
  for (const char *key; (key = va_arg(args, const char *));) {
    const char *value = va_arg(args, const char *);
    if (rd_kafka_conf_set(conf, key, value, error, sizeof error) != RD_KAFKA_CONF_OK) {
      fprintf(stderr, "%s\n", error);
      exit(2);
    }
  }
  va_end(args);
  rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof error);
  if (!rk) { fprintf(stderr, "%s\n", error); exit(2); }
  return rk;
}

static void topic_name(char *out, size_t size, const char *what) {
  static int n;
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  snprintf(out, size, "c-%s-%llx-%d", what, (unsigned long long)t.tv_sec * 1000 + t.tv_nsec / 1000000, n++);
}

/* n records of 100 bytes over all partitions, then read back by a group; each exactly once, in order by partition. */
static int round_trip(const char *codec, const char *idempotent, int n) {
  char topic[128], value[101];
  topic_name(topic, sizeof topic, codec);
  rd_kafka_t *p = client(RD_KAFKA_PRODUCER, "compression.codec", codec, "enable.idempotence", idempotent,
                         "queue.buffering.max.messages", "1000000", "linger.ms", "20", NULL);
  for (int i = 0; i < n; i++) {
    snprintf(value, sizeof value, "%-100d", i);
    rd_kafka_resp_err_t e;
    while ((e = rd_kafka_producev(p, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY(&i, sizeof i),
                                  RD_KAFKA_V_VALUE(value, 100), RD_KAFKA_V_HEADER("n", value, 8),
                                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
      rd_kafka_poll(p, 10);
    if (e) return fail("produce: %s", rd_kafka_err2str(e));
  }
  if (rd_kafka_flush(p, 60000)) return fail("flush: %d left", rd_kafka_outq_len(p));
  rd_kafka_destroy(p);

  rd_kafka_t *c = client(RD_KAFKA_CONSUMER, "group.id", topic, "auto.offset.reset", "earliest", "check.crcs", "true", NULL);
  rd_kafka_poll_set_consumer(c);
  rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
  rd_kafka_subscribe(c, topics);
  time_t end = time(NULL) + 60;
  int got = 0;
  while (got < n && time(NULL) < end) {
    rd_kafka_message_t *m = rd_kafka_consumer_poll(c, 500);
    if (!m) continue;
    if (m->err) return fail("consume: %s", rd_kafka_message_errstr(m));
    if (m->len != 100 || atoi(m->payload) != got || m->offset != got) return fail("record %d at offset %lld says %.8s", got, (long long)m->offset, (char *)m->payload);
    got++;
    rd_kafka_message_destroy(m);
  }
  if (got != n) return fail("read %d of %d", got, n);
  rd_kafka_resp_err_t e = rd_kafka_commit(c, NULL, 0);
  if (e) return fail("commit: %s", rd_kafka_err2str(e));
  rd_kafka_consumer_close(c);
  rd_kafka_topic_partition_list_destroy(topics);
  rd_kafka_destroy(c);
  return 0;
}

static int none(void) { return round_trip("none", "false", 50000); }
static int gzip(void) { return round_trip("gzip", "false", 20000); }
static int snappy(void) { return round_trip("snappy", "false", 20000); }
static int lz4(void) { return round_trip("lz4", "false", 20000); }
static int zstd(void) { return round_trip("zstd", "false", 20000); }
static int idempotent(void) { return round_trip("none", "true", 50000); }

static int watermarks(void) {
  char topic[128];
  topic_name(topic, sizeof topic, "wm");
  rd_kafka_t *p = client(RD_KAFKA_PRODUCER, NULL);
  for (int i = 0; i < 10; i++)
    if (rd_kafka_producev(p, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_VALUE("x", 1), RD_KAFKA_V_END)) return fail("produce");
  rd_kafka_flush(p, 10000);
  int64_t low = -1, high = -1;
  rd_kafka_resp_err_t e = rd_kafka_query_watermark_offsets(p, topic, 0, &low, &high, 10000);
  rd_kafka_destroy(p);
  return e ? fail("%s", rd_kafka_err2str(e)) : low != 0 || high != 10 ? fail("%lld..%lld", (long long)low, (long long)high) : 0;
}

static int unknown_topic(void) {
  rd_kafka_t *c = client(RD_KAFKA_CONSUMER, "group.id", "c-unknown", "allow.auto.create.topics", "false", NULL);
  const rd_kafka_metadata_t *meta;
  rd_kafka_topic_t *t = rd_kafka_topic_new(c, "c-no-such-topic", NULL);
  rd_kafka_resp_err_t e = rd_kafka_metadata(c, 0, t, &meta, 10000);
  if (e) return fail("%s", rd_kafka_err2str(e));
  rd_kafka_resp_err_t te = meta->topics[0].err;
  rd_kafka_metadata_destroy(meta);
  rd_kafka_topic_destroy(t);
  rd_kafka_destroy(c);
  return te == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? 0 : fail("got %s", rd_kafka_err2name(te));
}

/* Makes an error of a transaction the reason of the failure; 0 if there is none. */
static int told(const char *what, rd_kafka_error_t *e) {
  if (!e) return 0;
  fail("%s: %s", what, rd_kafka_error_string(e));
  rd_kafka_error_destroy(e);
  return 1;
}

/* 60 transactions of 3 records in turn committed and aborted, with offsets; who reads what is committed sees every second one. */
static int transactions(void) {
  enum { ROUNDS = 60, EACH = 3, LIMIT = 30000 };
  char topic[128], group[128];
  topic_name(topic, sizeof topic, "txn");
  topic_name(group, sizeof group, "txn-group");
  rd_kafka_t *p = client(RD_KAFKA_PRODUCER, "transactional.id", topic, "linger.ms", "0", NULL);
  rd_kafka_t *g = client(RD_KAFKA_CONSUMER, "group.id", group, NULL);
  if (told("init", rd_kafka_init_transactions(p, LIMIT))) return 1;
  for (int i = 0; i < ROUNDS; i++) {
    if (told("begin", rd_kafka_begin_transaction(p))) return 1;
    for (int k = 0; k < EACH; k++) {
      char value[16];
      snprintf(value, sizeof value, "%d", i);
      rd_kafka_resp_err_t e = rd_kafka_producev(p, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_VALUE(value, strlen(value) + 1),
                                                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
      if (e) return fail("produce: %s", rd_kafka_err2str(e));
    }
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(offsets, topic, 0)->offset = 100 + i;
    rd_kafka_consumer_group_metadata_t *of = rd_kafka_consumer_group_metadata(g);
    int failed = told("offsets", rd_kafka_send_offsets_to_transaction(p, offsets, of, LIMIT));
    rd_kafka_consumer_group_metadata_destroy(of);
    rd_kafka_topic_partition_list_destroy(offsets);
    if (failed) return 1;
    if (i % 2 ? told("abort", rd_kafka_abort_transaction(p, LIMIT)) : told("commit", rd_kafka_commit_transaction(p, LIMIT))) return 1;
  }
  rd_kafka_destroy(p);

  rd_kafka_topic_partition_list_t *at = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(at, topic, 0);
  /* The markers of the last ones may be on their way. */
  for (time_t end = time(NULL) + 30; at->elems[0].offset != 100 + ROUNDS - 2;) {
    rd_kafka_resp_err_t e = rd_kafka_committed(g, at, LIMIT);
    if (e && e != RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT) return fail("committed: %s", rd_kafka_err2str(e));
    if (time(NULL) > end) return fail("offset %lld", (long long)at->elems[0].offset);
  }
  at->elems[0].offset = 0;
  rd_kafka_assign(g, at);
  rd_kafka_topic_partition_list_destroy(at);
  time_t end = time(NULL) + 60;
  for (int got = 0; got < ROUNDS / 2 * EACH;) {
    rd_kafka_message_t *m = rd_kafka_consumer_poll(g, 500);
    if (time(NULL) > end) return fail("read %d", got);
    if (!m) continue;
    if (m->err) return fail("consume: %s", rd_kafka_message_errstr(m));
    if (atoi(m->payload) != got / EACH * 2) return fail("record %d says %s", got, (char *)m->payload);
    got++;
    rd_kafka_message_destroy(m);
  }
  rd_kafka_consumer_close(g);
  rd_kafka_destroy(g);
  return 0;
}

int main(int argc, char **argv) {
  struct { const char *name; int (*run)(void); } stories[] = {
    {"none", none}, {"gzip", gzip}, {"snappy", snappy}, {"lz4", lz4}, {"zstd", zstd}, {"idempotent", idempotent},
    {"watermarks", watermarks}, {"unknownTopic", unknown_topic},
    {"transactions", transactions}};
  if (argc < 2) return 2;
  bootstrap = argv[1];
  int failed = 0;
  for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
    if (stories[i].run()) { failed = 1; printf("not ok librdkafka/%s: %s\n", stories[i].name, why); }
    else printf("ok librdkafka/%s\n", stories[i].name);
    fflush(stdout);
  }
  return failed;
}
