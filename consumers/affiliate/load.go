package affiliate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/kelisim/kelisim/consumers/internal/secret"
	"github.com/kelisim/kelisim/events"
)

// file is the partners' file.
type file struct {
	Partners []entry `yaml:"partners"`
}

type entry struct {
	ID       string           `yaml:"id"`
	Country  string           `yaml:"country"`
	Purposes []events.Purpose `yaml:"purposes"`
	Border   events.Purpose   `yaml:"border"`
	Keys     struct {
		Current  source `yaml:"current"`
		Previous source `yaml:"previous"`
	} `yaml:"keys"`
}

// source says where a key is, never what it is.
type source secret.Source // a file is relative to the partners' file

// UnmarshalYAML implements [yaml.Unmarshaler]. Whoever writes the key itself in
// the file gets an error that does not repeat it.
func (s *source) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: want file or env, where the key is, never the key itself", node.Line)
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		switch name.Value {
		case "file":
			s.File = value.Value
		case "env":
			s.Env = value.Value
		default:
			return fmt.Errorf("line %d: want file or env, where the key is", name.Line)
		}
	}
	return nil
}

// LoadPartners reads the partners' file, in YAML, and the keys it points to: in a
// file or an environment variable, base64 of at least 32 bytes, as
// "openssl rand -base64 32" prints it. Unknown names are errors. No error holds
// anything of a key.
func LoadPartners(path string, getenv func(string) string) ([]Partner, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("affiliate: partners: %w", err)
	}
	var f file
	in := yaml.NewDecoder(bytes.NewReader(text))
	in.KnownFields(true)
	if err := in.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("affiliate: partners in %s: %w", path, err)
	}
	partners := make([]Partner, 0, len(f.Partners))
	for _, e := range f.Partners {
		p := Partner{ID: e.ID, Country: e.Country, Purposes: e.Purposes, Border: e.Border}
		if p.Current, err = e.Keys.Current.read(filepath.Dir(path), getenv); err != nil {
			return nil, fmt.Errorf("affiliate: partner %q in %s: current key: %w", e.ID, path, err)
		}
		if p.Previous, err = e.Keys.Previous.read(filepath.Dir(path), getenv); err != nil {
			return nil, fmt.Errorf("affiliate: partner %q in %s: previous key: %w", e.ID, path, err)
		}
		partners = append(partners, p)
	}
	if err := check(partners); err != nil {
		return nil, fmt.Errorf("affiliate: partners in %s: %w", path, err)
	}
	return partners, nil
}

// read returns the key, or the zero Key when the source names no place.
func (s source) read(dir string, getenv func(string) string) (Key, error) {
	k, err := secret.Source(s).Read(dir, getenv)
	return Key{k}, err
}
