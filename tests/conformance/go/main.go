// What an application does with franz-go.
// usage: conformance BOOTSTRAP     prints `ok NAME` or `not ok NAME: why` for each story
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var seeds []string

func name(what string) string {
	b := make([]byte, 4)
	_, _ = rand.Read(b)
	return fmt.Sprintf("go-%s-%x", what, b)
}

func client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(seeds...)}, opts...)...)
}

func consume(ctx context.Context, n int, opts ...kgo.Opt) ([]*kgo.Record, error) {
	c, err := client(opts...)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var got []*kgo.Record
	for len(got) < n {
		f := c.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			return got, fmt.Errorf("read %d of %d: %w", len(got), n, err)
		}
		got = append(got, f.Records()...)
	}
	return got, nil
}

func roundTrip(ctx context.Context) error {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	for codec, compression := range codecs {
		topic := name(codec)
		c, err := client(kgo.ProducerBatchCompression(compression), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic(topic))
		if err != nil {
			return err
		}
		if _, err := kadm.NewClient(c).CreateTopic(ctx, 3, 1, nil, topic); err != nil {
			return err
		}
		var records []*kgo.Record
		for i := range 3000 {
			records = append(records, &kgo.Record{Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "v%d", i),
				Headers: []kgo.RecordHeader{{Key: "i", Value: fmt.Appendf(nil, "%d", i)}}})
		}
		records = append(records, &kgo.Record{Key: []byte("tombstone")})
		if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return fmt.Errorf("%s: %w", codec, err)
		}
		c.Close()
		got, err := consume(ctx, 3001, kgo.ConsumeTopics(topic))
		if err != nil {
			return fmt.Errorf("%s: %w", codec, err)
		}
		seen := map[string]string{}
		for _, r := range got {
			if r.Value == nil {
				seen[string(r.Key)] = "(null)"
			} else {
				seen[string(r.Key)] = string(r.Value)
			}
		}
		if len(seen) != 3001 || seen["k7"] != "v7" || seen["tombstone"] != "(null)" {
			return fmt.Errorf("%s: read %d records, k7=%q, tombstone=%q", codec, len(seen), seen["k7"], seen["tombstone"])
		}
	}
	return nil
}

func group(ctx context.Context) error {
	topic := name("group")
	c, err := client(kgo.DefaultProduceTopic(topic))
	if err != nil {
		return err
	}
	defer c.Close()
	adm := kadm.NewClient(c)
	if _, err := adm.CreateTopic(ctx, 6, 1, nil, topic); err != nil {
		return err
	}
	for i := range 600 {
		c.Produce(ctx, &kgo.Record{Value: fmt.Appendf(nil, "v%d", i)}, nil)
	}
	if err := c.Flush(ctx); err != nil {
		return err
	}
	for _, balancer := range []kgo.GroupBalancer{kgo.RangeBalancer(), kgo.CooperativeStickyBalancer()} {
		id := topic + balancer.ProtocolName()
		m := make(chan *kgo.Record, 1000)
		var members []*kgo.Client
		for range 3 {
			member, err := client(kgo.ConsumerGroup(id), kgo.ConsumeTopics(topic), kgo.Balancers(balancer),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(200*time.Millisecond))
			if err != nil {
				return err
			}
			defer member.Close()
			members = append(members, member)
			go func() {
				for {
					f := member.PollFetches(ctx)
					if f.IsClientClosed() || ctx.Err() != nil {
						return
					}
					f.EachRecord(func(r *kgo.Record) { m <- r })
				}
			}()
		}
		distinct := map[string]bool{}
		for len(distinct) < 600 {
			select {
			case r := <-m:
				distinct[string(r.Value)] = true
			case <-ctx.Done():
				return fmt.Errorf("%s: read %d of 600", balancer.ProtocolName(), len(distinct))
			}
		}
		for {
			d, err := adm.DescribeGroups(ctx, id)
			if err != nil {
				return err
			}
			if g := d[id]; g.State == "Stable" && len(g.Members) == 3 {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%s: never three stable members", balancer.ProtocolName())
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err := members[0].CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		for _, member := range members {
			member.Close()
		}
		offsets, err := adm.FetchOffsets(ctx, id)
		if err != nil {
			return err
		}
		if len(offsets[topic]) == 0 {
			return fmt.Errorf("%s: no offsets committed", balancer.ProtocolName())
		}
		if _, err := adm.DeleteGroups(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// serverSide shares a topic among members of the new protocol (KIP-848), named and by a pattern, whom the broker assigns.
func serverSide(ctx context.Context) error {
	topic := name("server-side")
	c, err := client(kgo.DefaultProduceTopic(topic))
	if err != nil {
		return err
	}
	defer c.Close()
	adm := kadm.NewClient(c)
	if _, err := adm.CreateTopic(ctx, 6, 1, nil, topic); err != nil {
		return err
	}
	for i := range 600 {
		c.Produce(ctx, &kgo.Record{Value: fmt.Appendf(nil, "v%d", i)}, nil)
	}
	if err := c.Flush(ctx); err != nil {
		return err
	}
	for what, opts := range map[string][]kgo.Opt{
		"uniform": {kgo.ConsumeTopics(topic), kgo.Balancers(kgo.StickyBalancer())},
		"range":   {kgo.ConsumeTopics(topic), kgo.Balancers(kgo.RangeBalancer())},
		"pattern": {kgo.ConsumeTopics(topic + ".*"), kgo.ConsumeRegex(), kgo.Balancers(kgo.RangeBalancer())},
	} {
		id := topic + what
		var members []*kgo.Client
		read := make(chan *kgo.Record, 1000)
		for range 3 {
			member, err := client(append(opts, kgo.ServerSideBalancer(), kgo.ConsumerGroup(id), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
			if err != nil {
				return err
			}
			defer member.Close()
			members = append(members, member)
			go func() {
				for {
					f := member.PollFetches(ctx)
					if f.IsClientClosed() || ctx.Err() != nil {
						return
					}
					f.EachRecord(func(r *kgo.Record) { read <- r })
				}
			}()
		}
		distinct := map[string]bool{}
		for len(distinct) < 600 {
			select {
			case r := <-read:
				distinct[string(r.Value)] = true
			case <-ctx.Done():
				return fmt.Errorf("%s: read %d of 600", what, len(distinct))
			}
		}
		for {
			described, err := adm.DescribeConsumerGroups(ctx, id)
			if err != nil {
				return err
			}
			g := described[id]
			even := len(g.Members) == 3
			for _, m := range g.Members {
				even = even && len(m.Assignment[topic]) == 2
			}
			if even && g.State == "Stable" {
				if want := strings.Replace(what, "pattern", "range", 1); g.AssignorName != want {
					return fmt.Errorf("%s: the assignor is %s", what, g.AssignorName)
				}
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%s: never shared by three: %v", what, g)
			}
			time.Sleep(50 * time.Millisecond)
		}
		for _, member := range members {
			if err := member.CommitUncommittedOffsets(ctx); err != nil {
				return err
			}
			member.Close()
		}
		offsets, err := adm.FetchOffsets(ctx, id)
		if err != nil {
			return err
		}
		if len(offsets[topic]) == 0 {
			return fmt.Errorf("%s: no offsets committed", what)
		}
	}
	return nil
}

// kinds sends what is not plain: null and empty keys and values, headers, 1 MB, times of its own.
func kinds(ctx context.Context) error {
	topic := name("kinds")
	c, err := client(kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(1<<20))
	if err != nil {
		return err
	}
	defer c.Close()
	adm := kadm.NewClient(c)
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, topic); err != nil {
		return err
	}
	big := make([]byte, 1_000_000)
	_, _ = rand.Read(big)
	sent := []*kgo.Record{
		{Value: []byte("null key")},
		{Key: []byte{}, Value: []byte("empty key")},
		{Key: []byte("tombstone")},
		{Key: []byte("empty"), Value: []byte{}, Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: nil}, {Key: "b", Value: []byte{}}}},
		{Key: []byte("big"), Value: big},
	}
	for i, r := range sent {
		r.Timestamp = time.UnixMilli(int64(i+1) * 1_000_000)
	}
	if err := c.ProduceSync(ctx, sent...).FirstErr(); err != nil {
		return err
	}
	got, err := consume(ctx, len(sent), kgo.ConsumeTopics(topic))
	if err != nil {
		return err
	}
	for i, r := range got {
		want := sent[i]
		if (r.Key == nil) != (want.Key == nil) || (r.Value == nil) != (want.Value == nil) ||
			!bytes.Equal(r.Key, want.Key) || !bytes.Equal(r.Value, want.Value) || !r.Timestamp.Equal(want.Timestamp) {
			return fmt.Errorf("record %d: key %q, time %s came back", i, r.Key, r.Timestamp)
		}
		if len(r.Headers) != len(want.Headers) {
			return fmt.Errorf("record %d: %d headers", i, len(r.Headers))
		}
		for j, h := range r.Headers {
			if h.Key != want.Headers[j].Key || (h.Value == nil) != (want.Headers[j].Value == nil) || !bytes.Equal(h.Value, want.Headers[j].Value) {
				return fmt.Errorf("record %d: header %d is %v", i, j, h)
			}
		}
	}
	for time, want := range map[int64]int64{1: 0, 2_000_001: 2, 5_000_000: 4} {
		offsets, err := adm.ListOffsetsAfterMilli(ctx, time, topic)
		if err != nil {
			return err
		}
		if o, _ := offsets.Lookup(topic, 0); o.Err != nil || o.Offset != want {
			return fmt.Errorf("at %d: offset %d, %v, want %d", time, o.Offset, o.Err, want)
		}
	}
	return nil
}

func seekAndPause(ctx context.Context) error {
	topic := name("seek")
	p, err := client(kgo.DefaultProduceTopic(topic))
	if err != nil {
		return err
	}
	defer p.Close()
	if _, err := kadm.NewClient(p).CreateTopic(ctx, 1, 1, nil, topic); err != nil {
		return err
	}
	send := func(from, to int) error {
		var records []*kgo.Record
		for i := from; i < to; i++ {
			records = append(records, &kgo.Record{Value: fmt.Appendf(nil, "%d", i)})
		}
		return p.ProduceSync(ctx, records...).FirstErr()
	}
	if err := send(0, 100); err != nil {
		return err
	}
	c, err := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(50)}}),
		kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer c.Close()
	// The next offset that is read, until the one wanted has come.
	read := func(from, to int64) error {
		for next := from; next < to; {
			f := c.PollFetches(ctx)
			if err := f.Err0(); err != nil {
				return fmt.Errorf("at %d: %w", next, err)
			}
			for _, r := range f.Records() {
				if r.Offset != next || string(r.Value) != fmt.Sprint(next) {
					return fmt.Errorf("read %d, want %d", r.Offset, next)
				}
				next++
			}
		}
		return nil
	}
	if err := read(50, 100); err != nil {
		return err
	}
	c.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 10}}})
	if err := read(10, 100); err != nil {
		return fmt.Errorf("after a seek: %w", err)
	}
	c.PauseFetchTopics(topic)
	if err := send(100, 110); err != nil {
		return err
	}
	// Several fetches long: that nothing comes cannot be awaited.
	quiet, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	if n := c.PollFetches(quiet).NumRecords(); n > 0 {
		return fmt.Errorf("%d records while paused", n)
	}
	c.ResumeFetchTopics(topic)
	if err := read(100, 110); err != nil {
		return fmt.Errorf("when resumed: %w", err)
	}
	return nil
}

func admin(ctx context.Context) error {
	c, err := client()
	if err != nil {
		return err
	}
	defer c.Close()
	adm := kadm.NewClient(c)
	topic := name("admin")
	if _, err := adm.CreateTopic(ctx, 2, 1, map[string]*string{"retention.ms": kadm.StringPtr("4444")}, topic); err != nil {
		return err
	}
	if _, err := adm.CreateTopic(ctx, 2, 1, nil, topic); !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("created twice: %v", err)
	}
	configs, err := adm.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return err
	}
	rc, err := configs.On(topic, nil)
	if err != nil {
		return err
	}
	for _, kv := range rc.Configs {
		if kv.Key == "retention.ms" && kv.MaybeValue() != "4444" {
			return fmt.Errorf("retention.ms is %s", kv.MaybeValue())
		}
	}
	if _, err := adm.ListEndOffsets(ctx, topic); err != nil {
		return err
	}
	if _, err := adm.DescribeAllLogDirs(ctx, nil); err != nil {
		return err
	}
	_, err = adm.DeleteTopics(ctx, topic)
	return err
}

// transactions reads one topic and writes another in transactions, some of which are aborted and done again: each record
// is written once. A producer that takes over fences the one before.
func transactions(ctx context.Context) error {
	in, out, group, id := name("txn-in"), name("txn-out"), name("txn-group"), name("txn")
	c, err := client(kgo.DefaultProduceTopic(in))
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := kadm.NewClient(c).CreateTopics(ctx, 3, 1, nil, in, out); err != nil {
		return err
	}
	const records = 500
	for i := range records {
		c.Produce(ctx, &kgo.Record{Value: fmt.Appendf(nil, "%d", i)}, nil)
	}
	if err := c.Flush(ctx); err != nil {
		return err
	}
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(seeds...), kgo.TransactionalID(id), kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(in), kgo.DefaultProduceTopic(out), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequireStableFetchOffsets())
	if err != nil {
		return err
	}
	defer session.Close()
	for turn, moved := 0, 0; moved < records; turn++ {
		fetched := session.PollRecords(ctx, 50)
		if err := fetched.Err0(); err != nil {
			return fmt.Errorf("moved %d: %w", moved, err)
		}
		if err := session.Begin(); err != nil {
			return err
		}
		got := fetched.Records()
		for _, r := range got {
			session.Produce(ctx, &kgo.Record{Value: r.Value}, nil)
		}
		committed, err := session.End(ctx, kgo.TransactionEndTry(turn%3 != 1))
		if err != nil {
			return fmt.Errorf("turn %d: %w", turn, err)
		}
		if committed {
			moved += len(got)
		}
	}
	got, err := consume(ctx, records, kgo.ConsumeTopics(out), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	distinct := map[string]bool{}
	for _, r := range got {
		distinct[string(r.Value)] = true
	}
	if len(distinct) != records {
		return fmt.Errorf("%d of %d are there", len(distinct), records)
	}
	old, err := client(kgo.TransactionalID(id+"-f"), kgo.DefaultProduceTopic(out))
	if err != nil {
		return err
	}
	defer old.Close()
	if err := old.BeginTransaction(); err != nil {
		return err
	}
	if err := old.ProduceSync(ctx, &kgo.Record{Value: []byte("old")}).FirstErr(); err != nil {
		return err
	}
	fresh, err := client(kgo.TransactionalID(id+"-f"), kgo.DefaultProduceTopic(out))
	if err != nil {
		return err
	}
	defer fresh.Close()
	if err := fresh.BeginTransaction(); err != nil {
		return err
	}
	if err := fresh.ProduceSync(ctx, &kgo.Record{Value: []byte("new")}).FirstErr(); err != nil {
		return err
	}
	if err := fresh.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return err
	}
	if err := old.EndTransaction(ctx, kgo.TryCommit); err == nil {
		return errors.New("a fenced producer commits")
	}
	return nil
}

func main() {
	seeds = strings.Split(os.Args[1], ",")
	failed := 0
	for _, story := range []struct {
		name string
		run  func(context.Context) error
	}{{"roundTrip", roundTrip}, {"group", group}, {"serverSide", serverSide}, {"kinds", kinds}, {"seekAndPause", seekAndPause}, {"admin", admin}, {"transactions", transactions}} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		begun := time.Now()
		if err := story.run(ctx); err != nil {
			failed = 1
			fmt.Printf("not ok franz-go/%s: %v\n", story.name, err)
		} else {
			fmt.Printf("ok franz-go/%s (%d ms)\n", story.name, time.Since(begun).Milliseconds())
		}
		cancel()
	}
	os.Exit(failed)
}
