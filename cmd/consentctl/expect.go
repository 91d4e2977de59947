package main

import (
	"context"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// servicesEnv names the services that have to be there, separated by commas, where
// not all roles are run.
const servicesEnv = "KELISIM_SERVICES"

// missing returns the services that have to be there, and have no cache in Redis.
// Where services are named by a flag, nobody else is expected.
func (s *session) missing(ctx context.Context, named []string) (missing []string, err error) {
	if len(named) > 0 {
		return nil, nil // each of which was asked for
	}
	client, err := s.Redis()
	if err != nil {
		return nil, err
	}
	all, err := cache.Services(ctx, client)
	if err != nil {
		return nil, err
	}
	for _, name := range s.expected() {
		if !slices.ContainsFunc(all, func(l cache.Layout) bool { return l.Service == name }) {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// expected are the services that have to be there: all roles, or those of the variable.
func (s *session) expected() (names []string) {
	for name := range strings.SplitSeq(lookup(s.program.environ, servicesEnv), ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		return names
	}
	for _, role := range roles.All() {
		names = append(names, role.Name)
	}
	return names
}

// found makes missing services a finding, of what went well but for that.
func found(missing []string, err error) error {
	if len(missing) > 0 && err == nil {
		return exit.ErrFindings
	}
	return err
}
