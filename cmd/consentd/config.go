package main

import (
	"github.com/spf13/cobra"
)

// newConfig returns the command that prints what a role would run with.
func newConfig(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Print every setting, its value and where that comes from",
		Long: "Print every setting, its value and where that comes from. Secrets are only said to be set.\n" +
			"What is wrong with the configuration is said behind it, and then the exit code is 1.",
		Args: cobra.NoArgs,
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, loaded, err := load(c.Flags(), environ)
		if loaded != nil {
			if err := loaded.Print(c.OutOrStdout(), cfg); err != nil {
				return err
			}
		}
		return err
	}
	if err := addSettings(c.Flags()); err != nil {
		c.RunE = func(*cobra.Command, []string) error { return err }
	}
	return c
}
