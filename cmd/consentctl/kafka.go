package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/daemon/settings"
)

// brokersFlag is short for --kafka-brokers, the one that is nearly always given.
const brokersFlag, brokersSetting = "brokers", "kafka-brokers"

// addSettings gives a command the settings of consentd, so that one file and one
// environment serve both. Of the flags it shows those that reach Kafka.
func addSettings(c *cobra.Command) error {
	all, err := settings.List(daemon.Defaults())
	if err != nil {
		return err
	}
	flags := c.Flags()
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == brokersFlag {
			name = brokersSetting
		}
		return pflag.NormalizedName(name)
	})
	settings.AddFlags(flags, all)
	flags.Lookup(brokersSetting).Usage += ", or --" + brokersFlag
	flags.VisitAll(func(f *pflag.Flag) {
		for _, other := range []string{"redis-", "cache-", "affiliate-", "admin-", "shutdown-"} {
			f.Hidden = f.Hidden || strings.HasPrefix(f.Name, other)
		}
	})
	return nil
}

// cluster is the log as the settings reach it.
type cluster struct {
	kafka      stream.Config
	topics     daemon.Topics
	generation uint32
}

// connect reads the settings of a command. It opens no connection.
func (p *program) connect(c *cobra.Command) (*cluster, error) {
	cfg, _, err := settings.Load(daemon.Defaults(), c.Flags(), p.environ)
	if err == nil {
		err = cfg.ValidateLog()
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("configuration:\n%w", err)}
	}
	log, err := daemon.NewLogger(c.ErrOrStderr(), cfg.Log, daemon.NoColor(p.environ))
	if err != nil {
		return nil, err
	}
	layout, err := deploy.Topics()
	if err != nil {
		return nil, err
	}
	k := &cluster{kafka: roles.KafkaOf(cfg.Kafka, log), topics: cfg.Topics, generation: layout.Generation}
	if cfg.Topics.Generation != 0 {
		k.generation = uint32(cfg.Topics.Generation)
	}
	return k, nil
}

// read calls each with every record that a topic holds by now, in the order of
// each partition. A record is valid during the call.
func (k *cluster) read(ctx context.Context, topic string, each func(*stream.Record) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("topic %s: %w", topic, err)
		}
	}()
	reader, err := stream.NewReader(stream.ReaderConfig{Config: k.kafka, Topic: topic})
	if err != nil {
		return err
	}
	defer reader.Close()
	offsets, err := reader.Offsets(ctx)
	if err != nil {
		return err
	}
	ranges := make(map[int32]stream.Range, len(offsets))
	for partition, o := range offsets {
		if o.First < o.End {
			ranges[partition] = stream.Range{From: o.First, To: o.End}
		}
	}
	return reader.Read(ctx, ranges, func(b *stream.Batch) error {
		for i := range b.Records {
			if err := each(&b.Records[i]); err != nil {
				return fmt.Errorf("partition %d, offset %d: %w", b.Partition, b.Records[i].Offset, err)
			}
		}
		return nil
	})
}
