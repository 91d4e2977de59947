package offsets

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// Save writes the plan to a file that must not exist: no snapshot is ever
// written over.
func (p *Plan) Save(path string) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	return nil
}

// Load reads a snapshot.
func Load(path string) (*Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	p := new(Plan)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, exit.Misused("snapshot %s: %w", path, err)
	}
	if p.Cluster == "" || p.Topic == "" || p.Group == "" {
		return nil, exit.Misused("snapshot %s: names no cluster, topic or group", path)
	}
	return p, nil
}
