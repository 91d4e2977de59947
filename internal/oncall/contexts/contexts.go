// Package contexts reads and chooses the places that consentctl works at, as
// kubectl's contexts do: a file of names, each with the settings of a cluster.
//
//	current: dev
//	contexts:
//	  dev:
//	    settings: {kafka: {brokers: [localhost:9092]}, redis: {addrs: [localhost:6379]}}
//	  prod:
//	    config: /etc/kelisim/consentd.yaml
//	    protected: true
//
// It knows no setting; package settings reads what a context names.
package contexts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kelisim/kelisim/internal/daemon/settings"
)

// Context is one place. It has a configuration file, or settings of its own.
type Context struct {
	Config    string         `yaml:"config"`    // file of consentd's settings; relative to the contexts file
	Settings  map[string]any `yaml:"settings"`  // or its content
	Protected bool           `yaml:"protected"` // an act must name it: --confirm
}

// File is the content of a contexts file. The zero File has no context.
type File struct {
	Path     string             `yaml:"-"`
	Current  string             `yaml:"current"`
	Contexts map[string]Context `yaml:"contexts"`
}

// Read reads a contexts file. One that is not there has no contexts, unless it
// has to be: somebody named it.
func Read(path string, wanted bool) (File, error) {
	f := File{Path: path}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !wanted {
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("contexts: %w", err)
	}
	in := yaml.NewDecoder(bytes.NewReader(text))
	in.KnownFields(true)
	if err := in.Decode(&f); err != nil && len(bytes.TrimSpace(text)) > 0 {
		return f, fmt.Errorf("contexts: %s: %w", path, err)
	}
	return f, f.validate()
}

func (f File) validate() error {
	var faults []error
	for _, name := range f.Names() {
		if c := f.Contexts[name]; (c.Config == "") == (len(c.Settings) == 0) {
			faults = append(faults, fmt.Errorf("contexts: %s: %s: want config or settings, one of the two", f.Path, name))
		}
	}
	if _, ok := f.Contexts[f.Current]; !ok && f.Current != "" {
		faults = append(faults, fmt.Errorf("contexts: %s: current: %w", f.Path, f.unknown(f.Current)))
	}
	return errors.Join(faults...)
}

// Names returns the contexts' names, in their order.
func (f File) Names() []string { return slices.Sorted(maps.Keys(f.Contexts)) }

// Choose returns the context of that name, or the current one when the name is
// empty. Without either there is none, and the name that comes back is empty.
func (f File) Choose(name string) (string, Context, error) {
	if name == "" {
		name = f.Current
	}
	if name == "" {
		return "", Context{}, nil
	}
	c, ok := f.Contexts[name]
	if !ok {
		return "", Context{}, f.unknown(name)
	}
	return name, c, nil
}

func (f File) unknown(name string) error {
	if len(f.Contexts) == 0 {
		return fmt.Errorf("no context %s: %s names none", name, f.Path)
	}
	return fmt.Errorf("no context %s: %s names %s", name, f.Path, strings.Join(f.Names(), ", "))
}

// Base returns what the context brings to the settings. No name brings nothing.
func (f File) Base(name string) settings.Base {
	c, ok := f.Contexts[name]
	if !ok {
		return settings.Base{}
	}
	b := settings.Base{Name: "context " + name, File: c.Config, Values: c.Settings}
	if b.File != "" && !filepath.IsAbs(b.File) {
		b.File = filepath.Join(filepath.Dir(f.Path), b.File)
	}
	return b
}
