package events

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Basis is the legal ground of a purpose. The zero Basis is none.
type Basis uint8

// The grounds. Only purposes on consent are stopped by a withdrawal.
const (
	Consent  Basis = 1 + iota
	Contract       // open while the user agreement lives
	Law            // needs no consent (clause 2.8)
)

// Withdrawable says whether and how a person can end a purpose.
type Withdrawable uint8

// The ways. The zero value is No.
const (
	No        Withdrawable = iota
	Refusable              // a request restricts at once and can be refused with a ground (2.7)
	Yes                    // purely optional: the request is the withdrawal
)

// Rule is what the fold needs to know of one purpose.
type Rule struct {
	Code         Code         `json:"code"`
	Purpose      Purpose      `json:"name"`
	Clause       string       `json:"clause"` // of the privacy policy
	Basis        Basis        `json:"basis"`
	Withdrawable Withdrawable `json:"withdrawable"`
}

// Rules is the rule set: the purposes, as data, and the clock uncertainty. It is
// immutable. It has two halves: what the fold goes by, which is of every version of
// the policy at once, and what answers go by, which is of the version in force.
// Two folds agree if the first halves do.
type Rules struct {
	byName      map[Purpose]Code
	all         PurposeSet // that any version knows
	refusable   PurposeSet // a request for them can be refused
	uncertainty Millis

	byCode     [MaxPurposes]Rule // as the version in force has them
	asked      PurposeSet        // that the version in force has
	onConsent  PurposeSet        // stopped by a withdrawal
	onContract PurposeSet        // open while the agreement lives

	covered map[policyRef]PurposeSet // by consent under a published policy version; see [Rules.Covering]

	benches sync.Pool // of *bench: room to fold in, see workbench.go
}

//go:embed rules.json
var seed []byte

// SeedRules returns the rules of the seed policy (clause 2.2).
func SeedRules() *Rules {
	r, err := ParseRules(seed)
	if err != nil {
		panic(fmt.Sprintf("events: embedded rules: %v", err)) // the embedded file is held by a test
	}
	if r, err = r.Covering(map[PolicyVersion]PurposeSet{SeedPolicy: r.all}); err != nil {
		panic(fmt.Sprintf("events: seed policy: %v", err)) // of one version, which cannot collide
	}
	return r
}

// SeedPolicy is the version of the seed policy, under which every purpose of
// [SeedRules] can be granted.
const SeedPolicy PolicyVersion = "2026-11"

// ParseRules reads a rule set in JSON. Unknown keys, double codes or names, and
// unknown values are errors.
func ParseRules(text []byte) (*Rules, error) {
	var file struct {
		Uncertainty Millis `json:"clockUncertaintyMs"`
		Purposes    []Rule `json:"purposes"`
	}
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&file); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("rules: something follows the rule set")
	}
	return NewRules(file.Uncertainty, file.Purposes)
}

// NewRules returns the rule set of the given purposes. An uncertainty that is
// not above 0, double codes or names, and a purpose on consent that cannot be
// withdrawn are errors.
func NewRules(uncertainty Millis, purposes []Rule) (*Rules, error) {
	if uncertainty <= 0 {
		return nil, errors.New("rules: clockUncertaintyMs must be above 0")
	}
	r := &Rules{byName: make(map[Purpose]Code, len(purposes)), uncertainty: uncertainty}
	for _, rule := range purposes {
		if err := r.add(rule); err != nil {
			return nil, fmt.Errorf("rules: purpose %q: %w", rule.Purpose, err)
		}
	}
	return r, nil
}

func (r *Rules) add(rule Rule) error {
	_, known := r.byName[rule.Purpose]
	switch {
	case rule.Purpose == "" || strings.ContainsFunc(string(rule.Purpose), notPurposeRune):
		return errors.New("want lower-case letters, digits and -")
	case rule.Code >= MaxPurposes:
		return fmt.Errorf("code %d is above %d", rule.Code, MaxPurposes-1)
	case known || r.all.Has(rule.Code):
		return fmt.Errorf("name or code %d given twice", rule.Code)
	case rule.Basis == 0:
		return errors.New("has no basis")
	case rule.Basis == Consent && rule.Withdrawable == No:
		return errors.New("rests on consent, so it must be withdrawable (GDPR Art. 7(3), clause 2.6)")
	}
	r.byName[rule.Purpose] = rule.Code
	r.all |= SetOf(rule.Code)
	if rule.Withdrawable == Refusable {
		r.refusable |= SetOf(rule.Code)
	}
	r.asked |= SetOf(rule.Code)
	r.answerBy(rule)
	return nil
}

// answerBy has answers about a purpose go by the rule.
func (r *Rules) answerBy(rule Rule) {
	one := SetOf(rule.Code)
	r.byCode[rule.Code] = rule
	r.onConsent, r.onContract = r.onConsent&^one, r.onContract&^one
	switch rule.Basis {
	case Consent:
		r.onConsent |= one
	case Contract:
		r.onContract |= one
	}
}

// InForce returns the same rules with other answers: those of the version in force,
// which asks for the given purposes, while consent covers what [Rules.Covering]
// says. A purpose that it does not ask for is denied, whatever it rests on. The
// fold stays as it is, so states do not depend on what is in force. A purpose that
// is not known by this code and name, or that rests on nothing, is an error.
func (r *Rules) InForce(asked []Rule, covered map[PolicyVersion]PurposeSet) (*Rules, error) {
	out, err := r.Covering(covered)
	if err != nil {
		return nil, err
	}
	out.asked = 0
	for _, rule := range asked {
		if c, known := r.byName[rule.Purpose]; !known || c != rule.Code || rule.Basis == 0 {
			return nil, fmt.Errorf("rules: purpose %q, code %d: is not known so, or has no basis", rule.Purpose, rule.Code)
		}
		out.asked |= SetOf(rule.Code)
		out.answerBy(rule)
	}
	return out, nil
}

func notPurposeRune(c rune) bool {
	return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-'
}

// All returns every purpose of the rule set, in force or not.
func (r *Rules) All() PurposeSet { return r.all }

// Uncertainty returns by how much a grant of another source must be later than
// a withdrawal to open, in milliseconds (DESIGN 3; 500 by default).
func (r *Rules) Uncertainty() Millis { return r.uncertainty }

// Rule returns the rule of a purpose: that of the version in force or, where it has
// none, the one that the fold goes by. An unknown purpose has none.
func (r *Rules) Rule(p Purpose) (Rule, bool) {
	c, ok := r.byName[p]
	if !ok {
		return Rule{}, false
	}
	return r.byCode[c], true
}

// CodeOf returns the code of the purpose named by text, without allocation.
func (r *Rules) CodeOf(text []byte) (Code, bool) {
	c, ok := r.byName[Purpose(text)]
	return c, ok
}

// Set returns the set of the named purposes. An unknown name is an error.
func (r *Rules) Set(names ...Purpose) (PurposeSet, error) {
	var s PurposeSet
	for _, name := range names {
		c, ok := r.byName[name]
		if !ok {
			return 0, fmt.Errorf("purpose %q is not in the catalogue", name)
		}
		s |= SetOf(c)
	}
	return s, nil
}

// Names returns the names of the purposes in the set, in the order of their
// codes. Codes that the rules do not know are left out.
func (r *Rules) Names(s PurposeSet) []Purpose {
	names := make([]Purpose, 0, s.Len())
	for c := range (s & r.all).Codes() {
		names = append(names, r.byCode[c].Purpose)
	}
	return slices.Clip(names)
}

var basisNames = map[string]Basis{"consent": Consent, "contract": Contract, "law": Law}

var withdrawableNames = map[string]Withdrawable{"no": No, "refusable": Refusable, "yes": Yes}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (b *Basis) UnmarshalText(text []byte) (err error) {
	*b, err = named("basis", basisNames, string(text))
	return err
}

// MarshalText implements [encoding.TextMarshaler]. The zero Basis has no text.
func (b Basis) MarshalText() ([]byte, error) { return textOf("basis", basisNames, b) }

// String returns the name of the basis as the catalogue spells it.
func (b Basis) String() string { return nameOf(basisNames, b) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (w *Withdrawable) UnmarshalText(text []byte) (err error) {
	*w, err = named("withdrawable", withdrawableNames, string(text))
	return err
}

// MarshalText implements [encoding.TextMarshaler].
func (w Withdrawable) MarshalText() ([]byte, error) {
	return textOf("withdrawable", withdrawableNames, w)
}

// String returns the name as the catalogue spells it.
func (w Withdrawable) String() string { return nameOf(withdrawableNames, w) }

func named[T any](what string, names map[string]T, text string) (T, error) {
	v, ok := names[text]
	if !ok {
		return v, fmt.Errorf("%s %q is unknown", what, text)
	}
	return v, nil
}

func textOf[T comparable](what string, names map[string]T, v T) ([]byte, error) {
	name := nameOf(names, v)
	if _, known := names[name]; !known {
		return nil, fmt.Errorf("%s %v is unknown", what, v)
	}
	return []byte(name), nil
}

func nameOf[T comparable](names map[string]T, v T) string {
	for name, known := range names {
		if known == v {
			return name
		}
	}
	return "unknown"
}
