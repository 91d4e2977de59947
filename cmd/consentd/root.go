package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/daemon/settings"
)

// newRoot returns the command with a subcommand for each role. All of them take
// the same settings, so that one file serves all services.
func newRoot(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:           "consentd",
		Short:         "Run one of Kelisim's services",
		Version:       daemon.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return settings.ExplainFlag(c.Flags(), err) })
	for _, role := range roles.All() {
		root.AddCommand(newRole(role, environ))
	}
	root.AddCommand(newConfig(environ))
	return root
}

// addSettings gives a command every setting's flag.
func addSettings(flags *pflag.FlagSet) error {
	all, err := settings.List(daemon.Defaults())
	if err != nil {
		return err
	}
	settings.AddFlags(flags, all)
	return nil
}

// load reads the configuration and says everything that is wrong with it.
func load(flags *pflag.FlagSet, environ []string) (daemon.Config, *settings.Loaded, error) {
	cfg, loaded, err := settings.Load(daemon.Defaults(), flags, environ)
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return cfg, loaded, fmt.Errorf("configuration:\n%w", err)
	}
	return cfg, loaded, nil
}
