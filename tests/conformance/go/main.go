// What an application does with franz-go.
// usage: conformance BOOTSTRAP     prints `ok NAME` or `not ok NAME: why` for each story
package main

import (
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

func main() {
	seeds = strings.Split(os.Args[1], ",")
	failed := 0
	for _, story := range []struct {
		name string
		run  func(context.Context) error
	}{{"roundTrip", roundTrip}, {"group", group}, {"admin", admin}} {
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
