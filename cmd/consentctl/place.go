package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/daemon/settings"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/contexts"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// The variables of consentctl's own, beside those of the settings.
const (
	contextEnv  = "KELISIM_CONTEXT"
	contextsEnv = "KELISIM_CONTEXTS_FILE"
)

// brokersFlag is short for --kafka-brokers, the one that is nearly always given.
const brokersFlag, brokersSetting = "brokers", "kafka-brokers"

// place is where a command works: a context, if there is one, and the file that
// it stands in.
type place struct {
	name string
	file contexts.File
}

// place finds the context: by --context, by the variable, or the file's current one.
func (p *program) place() (place, error) {
	file, err := p.readContexts()
	if err != nil {
		return place{}, err
	}
	name, _, err := file.Choose(cmp.Or(p.context, lookup(p.environ, contextEnv)))
	return place{name, file}, err
}

// readContexts reads the contexts file that was named, or the default one if it is there.
func (p *program) readContexts() (contexts.File, error) {
	if named := cmp.Or(p.contexts, lookup(p.environ, contextsEnv)); named != "" {
		return contexts.Read(named, true)
	}
	dir := lookup(p.environ, "XDG_CONFIG_HOME") // XDG Base Directory Specification 0.8
	if home := lookup(p.environ, "HOME"); dir == "" && home != "" {
		dir = filepath.Join(home, ".config")
	}
	if dir == "" {
		return contexts.File{}, nil
	}
	return contexts.Read(filepath.Join(dir, "kelisim", "contexts.yaml"), false)
}

// protected returns the name of the protected context that the brokers or the Redis
// belong to, or nothing. The servers are protected, not the word: flags, variables or
// other names that lead to those of a protected context do not get around it.
func (pl place) protected(ctx context.Context, brokers, redisAddrs []string) (string, error) {
	for _, name := range pl.file.Names() {
		if !pl.file.Contexts[name].Protected {
			continue
		}
		if name == pl.name {
			return name, nil
		}
		cfg, _, err := settings.LoadOver(pl.file.Base(name), daemon.Defaults(), new(pflag.FlagSet), nil)
		if err != nil {
			return "", fmt.Errorf("which servers are protected: %w", err)
		}
		if contexts.Meet(ctx, brokers, cfg.Kafka.Brokers) || contexts.Meet(ctx, redisAddrs, cfg.Redis.Addrs) {
			return name, nil
		}
	}
	return "", nil
}

// addSettings gives a command the settings of consentd, so that one file and one
// environment serve both. Of the flags it shows the few that a person types.
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
	shown := []string{brokersSetting, "redis-addrs"}
	for _, s := range all {
		if f := flags.Lookup(s.Flag()); f != nil {
			f.Hidden = !slices.Contains(shown, f.Name)
		}
	}
	return nil
}

// load reads the settings of a command, over those of the context.
func (p *program) load(c *cobra.Command) (place, daemon.Config, *settings.Loaded, error) {
	at, err := p.place()
	if err != nil {
		return at, daemon.Config{}, nil, &exit.UsageError{Err: err}
	}
	cfg, loaded, err := settings.LoadOver(at.file.Base(at.name), daemon.Defaults(), c.Flags(), p.settingsEnviron())
	return at, cfg, loaded, err
}

// open reads the settings of a command and opens what it works on: no connection yet.
func (p *program) open(c *cobra.Command) (*session, error) {
	at, cfg, _, err := p.load(c)
	if err == nil {
		err = cfg.ValidateLog()
	}
	if err != nil {
		return nil, &exit.UsageError{Err: fmt.Errorf("configuration:\n%w", err)}
	}
	log, err := daemon.NewLogger(c.ErrOrStderr(), cfg.Log, daemon.NoColor(p.environ))
	if err != nil {
		return nil, err
	}
	k, err := cluster.New(cluster.Config{
		Kafka: roles.KafkaOf(cfg.Kafka, log), Topics: cfg.Topics, Logger: log,
		Connect: func() (redis.UniversalClient, error) {
			if err := cfg.ValidateCache(); err != nil {
				return nil, &exit.UsageError{Err: fmt.Errorf("configuration:\n%w", err)}
			}
			return roles.ConnectRedis(cfg.Redis)
		},
	})
	if err != nil {
		return nil, err
	}
	return &session{Cluster: k, Command: c, program: p, place: at, redisAddrs: cfg.Redis.Addrs}, nil
}

// settingsEnviron is the environment without the variables of consentctl's own.
func (p *program) settingsEnviron() []string {
	return slices.DeleteFunc(slices.Clone(p.environ), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains([]string{contextEnv, contextsEnv, operatorEnv, servicesEnv}, name)
	})
}

// lookup finds a variable in an environment; the last one counts.
func lookup(environ []string, name string) (found string) {
	for _, e := range environ {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			found = value
		}
	}
	return found
}
