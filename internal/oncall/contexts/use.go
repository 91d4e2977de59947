package contexts

import (
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// Use makes a context the current one. It changes that line of the file alone:
// comments and order stay.
func (f File) Use(name string) error {
	if _, ok := f.Contexts[name]; !ok {
		return f.unknown(name)
	}
	text, err := os.ReadFile(f.Path)
	if err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("contexts: %s: %w", f.Path, err)
	}
	setCurrent(doc.Content[0], name) // Read found a mapping there
	out, err := yaml.Marshal(&doc)
	if err != nil {
		return fmt.Errorf("contexts: %s: %w", f.Path, err)
	}
	return replace(f.Path, out)
}

func setCurrent(mapping *yaml.Node, name string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == "current" {
			mapping.Content[i+1].SetString(name)
			return
		}
	}
	var key, value yaml.Node
	key.SetString("current")
	value.SetString(name)
	mapping.Content = append([]*yaml.Node{&key, &value}, mapping.Content...)
}

// replace writes the file whole or not at all.
func replace(path string, text []byte) error {
	next, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	_, err = next.Write(text)
	if closed := next.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		_ = os.Remove(next.Name())
		return fmt.Errorf("contexts: %w", err)
	}
	return nil
}
