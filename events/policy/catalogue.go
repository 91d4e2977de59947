package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/kelisim/kelisim/events"
)

// Catalogue is one version of the privacy policy. [Parse] and [FromEvent] make
// it, with every default filled in and every set in order, so that equal
// catalogues have equal hashes. It is not changed afterwards. The zero
// Catalogue asks for nothing and covers nothing.
//
// A member without omitzero is mandatory in the file.
type Catalogue struct {
	Policy      string               `json:"policy"`               // which policy: "aitu"
	Version     events.PolicyVersion `json:"version"`              // as grants and acceptances name it
	PublishedOn Date                 `json:"publishedon"`          // the seven days count from here (1.6)
	EffectiveOn Date                 `json:"effectiveon,omitzero"` // in force from the start of this day; the day of publication unless given (1.5)
	Operator    Operator             `json:"operator"`
	Texts       []Text               `json:"texts"`              // one for each locale
	Residency   string               `json:"residency"`          // country in which data is kept: KZ (2.5)
	Retention   Period               `json:"retention,omitzero"` // after the agreement's end; [DefaultRetention] unless given
	Uncertainty events.Millis        `json:"clockUncertaintyMs"` // see events.Rules.Uncertainty
	Purposes    []Purpose            `json:"purposes"`           // in the order of their codes
}

// Operator is who answers for the data. A grant must name both (Law on Personal
// Data, Art. 8(4)).
type Operator struct {
	Name string `json:"name"`
	BIN  string `json:"bin"` // business identification number, 12 digits
}

// Text is the policy as people read it in one language.
type Text struct {
	Locale string `json:"locale"` // kk, ru or en
	URI    string `json:"text"`   // where it is published
	SHA256 string `json:"sha256"` // of its bytes, in lower-case hexadecimal
}

// Purpose is one thing that data is used for (clause 2.2), and all that a grant
// of it has to name (Law on Personal Data, Art. 8(4)).
type Purpose struct {
	Code           events.Code          `json:"code"` // never given to another purpose, in any version
	Name           events.Purpose       `json:"name"`
	Clause         string               `json:"clause"`
	Labels         Labels               `json:"labels"`
	Basis          events.Basis         `json:"basis"`
	Withdrawable   events.Withdrawable  `json:"withdrawable"`
	Recipients     []string             `json:"recipients"`           // who may process (2.1)
	DataCategories []string             `json:"datacategories"`       // of clause 2.3
	ThirdParty     bool                 `json:"thirdparty"`           // handed to others than the operator
	CrossBorder    []string             `json:"crossborder"`          // countries by ISO 3166-1 alpha-2, or [AnyCountry] alone; none: it stays
	Dissemination  bool                 `json:"dissemination"`        // made public
	Retention      Period               `json:"retention,omitzero"`   // the catalogue's unless given
	CoveredFrom    events.PolicyVersion `json:"coveredfrom,omitzero"` // earliest version consent to which still covers it; this one unless given
	Services       []string             `json:"services,omitzero"`    // which act when it stops
}

// AnyCountry in CrossBorder stands for every country: clause 4.2 names none.
const AnyCountry = "any"

// Labels name a purpose to people.
type Labels struct {
	Kazakh  string `json:"kk"`
	Russian string `json:"ru"`
	English string `json:"en"`
}

// Rules returns what the fold needs to know of the catalogue, with consent given
// under this version alone covering its purposes. It fails only on
// a catalogue that did not come from [Parse] or [FromEvent].
func (c *Catalogue) Rules() (*events.Rules, error) {
	r, err := events.NewRules(c.Uncertainty, c.ruleList())
	if err == nil {
		r, err = r.Covering(map[events.PolicyVersion]events.PurposeSet{c.Version: r.All()})
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	return r, nil
}

// ruleList returns the rule of each purpose.
func (c *Catalogue) ruleList() []events.Rule {
	rules := make([]events.Rule, len(c.Purposes))
	for i := range c.Purposes {
		p := &c.Purposes[i]
		rules[i] = events.Rule{Code: p.Code, Purpose: p.Name, Clause: p.Clause, Basis: p.Basis, Withdrawable: p.Withdrawable}
	}
	return rules
}

// Purpose returns the purpose with the given name.
func (c *Catalogue) Purpose(name events.Purpose) (Purpose, bool) {
	if p := c.find(name); p != nil {
		return *p, true
	}
	return Purpose{}, false
}

func (c *Catalogue) find(name events.Purpose) *Purpose {
	i := slices.IndexFunc(c.Purposes, func(p Purpose) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Purposes[i]
}

// JSON returns the catalogue as it stands in the data of its event: always the
// same bytes for the same catalogue. It fails only where [Catalogue.Rules] does.
func (c *Catalogue) JSON() ([]byte, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	return text, nil
}

// Hash returns "sha256:" and the hash of [Catalogue.JSON]: it covers everything
// in the catalogue, the hashes of the texts too. It is empty where JSON fails.
func (c *Catalogue) Hash() string {
	text, err := c.JSON()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// String names the policy and the version.
func (c *Catalogue) String() string { return fmt.Sprintf("policy %s, version %s", c.Policy, c.Version) }
