package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// Save writes the plan to a file that must not exist.
func (p *Plan) Save(path string) error {
	text, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("plan %s: %w", path, err)
	}
	return nil
}

// MayWrite says whether Save will find the file free, before all is read for it.
func MayWrite(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("plan %s: %w", path, fs.ErrExist)
	}
	return nil
}

// Load reads a plan, and refuses one that was altered since it was made.
func Load(path string) (*Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	p := new(Plan)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, exit.Misused("plan %s: %w", path, err)
	}
	if p.Format != planFormat {
		return nil, exit.Misused("plan %s: format %d, want %d", path, p.Format, planFormat)
	}
	sum, err := p.sum()
	if err != nil {
		return nil, err
	}
	if sum != p.Hash {
		return nil, exit.Refuse("plan %s was altered: it says it is %s, and it is %s", path, p.Hash, sum)
	}
	return p, nil
}

// checkpoint is how far a plan is carried out: which partitions of which services
// are done. What was done of the others shows in the caches.
type checkpoint struct {
	Plan string            `json:"plan"` // hash
	Done map[string]Counts `json:"done"` // by service/partition

	path string
}

// loadCheckpoint reads the checkpoint of a plan; one that is not there is empty,
// and that of another plan is refused. Without a path nothing is kept.
func loadCheckpoint(path string, p *Plan) (*checkpoint, error) {
	c := &checkpoint{Plan: p.Hash, Done: map[string]Counts{}, path: path}
	if path == "" {
		return c, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	if c.Plan != p.Hash || c.Done == nil {
		return nil, exit.Refuse("checkpoint %s is of plan %s: name another file", path, c.Plan)
	}
	return c, nil
}

// save writes the checkpoint whole or not at all.
func (c *checkpoint) save() error {
	if c.path == "" {
		return nil
	}
	text, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	next, err := os.CreateTemp(filepath.Dir(c.path), filepath.Base(c.path)+".*")
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	_, err = next.Write(append(text, '\n'))
	if closed := next.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(next.Name(), c.path)
	}
	if err != nil {
		_ = os.Remove(next.Name())
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// remove ends the checkpoint of a plan that was carried out.
func (c *checkpoint) remove() {
	if c.path != "" {
		_ = os.Remove(c.path) // one that stays says that nothing is left to do
	}
}
