package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/internal/daemon"
)

// newRole returns the command that runs one role.
func newRole(role roles.Role, environ []string) *cobra.Command {
	c := &cobra.Command{Use: role.Name, Short: role.Short, Args: cobra.NoArgs}
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, _, err := load(c.Flags(), environ)
		if err != nil {
			return err
		}
		return serve(c.Context(), role, cfg, environ, c.ErrOrStderr())
	}
	if err := addSettings(c.Flags()); err != nil {
		c.RunE = func(*cobra.Command, []string) error { return err }
	}
	return c
}

// serve runs the role until ctx ends.
func serve(ctx context.Context, role roles.Role, cfg daemon.Config, environ []string, stderr io.Writer) error {
	log, err := daemon.NewLogger(stderr, cfg.Log, daemon.NoColor(environ))
	if err != nil {
		return err
	}
	registry := daemon.NewRegistry()
	platform, err := roles.Open(cfg, lookup(environ), registry, log)
	if err != nil {
		return err
	}
	service, err := platform.Service(role)
	if err != nil {
		return errors.Join(err, platform.Close(ctx))
	}
	admin, err := daemon.ListenAdmin(ctx, daemon.AdminOptions{
		Config: cfg.Admin, Metrics: registry, Checks: service.Checks(), Logger: log,
	})
	if err != nil {
		return errors.Join(err, platform.Close(ctx))
	}
	log.Info("started", "role", role.Name, "version", daemon.Version(), "admin", admin.Addr())
	return daemon.Run(ctx, daemon.Program{
		Budget: cfg.Shutdown.Budget, Logger: log, Admin: admin,
		Parts:   []daemon.Part{{Name: "policy", Run: platform.Policy.Run}, {Name: role.Name, Run: service.Run}},
		Finally: platform.Close,
	})
}

// lookup finds variables in an environment.
func lookup(environ []string) func(string) string {
	return func(name string) string {
		for _, e := range environ {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value
			}
		}
		return ""
	}
}
