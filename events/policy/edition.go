package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events"
)

// Edition is the policy as it is at a moment: what a service goes by until a
// version arrives or becomes effective. It is immutable.
type Edition struct {
	Book     *Book
	Revision string               // of Book
	Version  events.PolicyVersion // in force; empty before the first
	Rules    *events.Rules        // [Book.RulesAt] the moment
	Next     time.Time            // when the next published version becomes effective; zero: none is ahead
}

// Edition returns the edition of a moment.
func (b *Book) Edition(at time.Time) *Edition {
	e := &Edition{Book: b, Revision: b.Revision(), Rules: b.RulesAt(at)}
	if now := b.inForce(at); now != nil {
		e.Version = now.Version
	}
	for _, p := range b.all() {
		if p.effective.After(at) && (e.Next.IsZero() || p.effective.Before(e.Next)) {
			e.Next = p.effective
		}
	}
	return e
}

// Mark names the edition: two with the same mark go by the same rules.
func (e *Edition) Mark() string { return e.Revision + "/" + string(e.Version) }

// revisionLen is how much of the hash names a revision, in bytes: a book has a
// version or two a year, and no two that exist have one name by chance.
const revisionLen = 8

// Revision names the content of the book, whatever the order of arrival: 16
// hexadecimal digits, of the SHA-256 of the hashes of its catalogues. A book
// without a version has one too.
func (b *Book) Revision() string {
	if b == nil || b.revision == "" {
		return revisionOf(nil)
	}
	return b.revision
}

func revisionOf(pages []page) string {
	sum := sha256.New()
	for _, p := range pages {
		sum.Write([]byte(p.hash))
	}
	return hex.EncodeToString(sum.Sum(nil)[:revisionLen])
}

// Grown returns the revisions that the book had while versions arrived, the oldest
// first, without its own: whoever knows this book knows more than they did.
func (b *Book) Grown() []string {
	if b == nil || len(b.pages) == 0 {
		return nil
	}
	return append(b.from.Grown(), b.from.Revision())
}

// Earlier returns the rules of an edition that the book has grown out of, or had
// at another time, by its [Edition.Mark].
func (b *Book) Earlier(mark string) (*events.Rules, bool) {
	was, version, known := b.was(mark)
	if !known {
		return nil, false
	}
	_, published := was.Version(version)
	return was.rulesOf(version), published || version == ""
}

// was returns the book that a mark is of, and the version that it names.
func (b *Book) was(mark string) (*Book, events.PolicyVersion, bool) {
	for {
		if version, known := cutRevision(mark, b.Revision()); known {
			return b, events.PolicyVersion(version), true
		}
		if b == nil || len(b.pages) == 0 {
			return nil, "", false
		}
		b = b.from
	}
}

// cutRevision returns the version of a mark of the given revision.
func cutRevision(mark, revision string) (version string, ok bool) {
	return strings.CutPrefix(mark, revision+"/")
}
