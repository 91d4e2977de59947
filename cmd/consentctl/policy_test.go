package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/schemas"
)

func TestLintNamesFileFieldAndCause(t *testing.T) {
	code, out, _ := ctl(t, "policy", "lint", seedFile)
	require.Equal(t, exit.OK, code)
	require.Contains(t, out, seedFile+": fine: policy aitu, version 2026-11, 13 purposes, sha256:")

	faulty := write(t, ", ru: Опросы", "", "basis: law", "basis: interest")
	code, out, _ = ctl(t, "policy", "lint", faulty)
	require.Equal(t, exit.Findings, code)
	require.Contains(t, out, faulty+": purposes[surveys].labels.ru: missing\n")
	require.Contains(t, out, faulty+": purposes[legal].basis: basis \"interest\" is unknown\n")

	code, out, _ = ctl(t, "policy", "lint", "-o", "json", faulty, seedFile)
	require.Equal(t, exit.Findings, code)
	var report lintReport
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Contains(t, report.Faults, fault{faulty, "purposes[surveys].labels.ru", "missing"})
	require.Equal(t, policy.Seed().Hash(), report.Fine[0].Hash)
}

func TestLintHoldsAHistoryTogether(t *testing.T) {
	first, second := firstVersion(t), secondVersion(t)
	code, out, _ := ctl(t, "policy", "lint", first, second)
	require.Equal(t, exit.OK, code, out)
	code, out, _ = ctl(t, "policy", "lint", second, first)
	require.Equal(t, exit.Findings, code)
	require.Contains(t, out, first+": publishedon: 2026-11-01 stands before version 2027-01")

	silent := secondVersion(t, "coveredfrom: 2027-01", "coveredfrom: 2026-11")
	code, out, _ = ctl(t, "policy", "lint", first, silent)
	require.Equal(t, exit.Findings, code)
	require.Contains(t, out, silent+": purposes[surveys].coveredfrom: version 2026-11 covers less (new recipient universities): want 2027-01")
}

func TestDiffSaysWhatWidensAndWhatIsAskedAgain(t *testing.T) {
	code, out, _ := ctl(t, "policy", "diff", firstVersion(t), secondVersion(t))
	require.Equal(t, exit.OK, code)
	require.Equal(t, "policy aitu, from version 2026-11 to 2027-01\n  surveys widens: new recipient universities\nasks again for: surveys\n", out)

	code, out, _ = ctl(t, "policy", "diff", firstVersion(t), secondVersion(t), "-o", "json")
	require.Equal(t, exit.OK, code)
	require.JSONEq(t, `{"policy": "aitu", "old": "2026-11", "new": "2027-01", "askagain": ["surveys"],
		"changes": [{"purpose": "surveys", "kind": "widens", "what": "new recipient universities"}]}`, out)
}

func TestDiffAsksNobodyAgainForAContractOrALaw(t *testing.T) {
	silent := secondVersion(t, "    coveredfrom: 2026-11\n", "")
	code, out, _ := ctl(t, "policy", "diff", firstVersion(t), silent)
	require.Equal(t, exit.OK, code)
	require.Contains(t, out, "\nasks again for: partner-contracts, promotion, contests, surveys, contractors, personalisation, targeted-ads, research, new-services, cross-border\n")
	require.Contains(t, out, "\nwarning: "+silent+": purposes[promotion].coveredfrom: left out: it asks for no more than version 2026-11")
	require.NotContains(t, out, "purposes[surveys].coveredfrom", "it widened")

	code, out, _ = ctl(t, "policy", "lint", firstVersion(t), silent)
	require.Equal(t, exit.OK, code, "a warning is no fault")
	require.Contains(t, out, "\nwarning: "+silent+": purposes[promotion].coveredfrom: left out")
}

func TestAPurposeThatLeavesConsentIsWarnedOf(t *testing.T) {
	next := secondVersion(t, "en: Offers and promotion}\n    basis: consent\n    withdrawable: \"yes\"", "en: Offers and promotion}\n    basis: law\n    withdrawable: \"no\"",
		"name: promotion\n    coveredfrom: 2026-11", "name: promotion")
	code, out, _ := ctl(t, "policy", "lint", firstVersion(t), next)
	require.Equal(t, exit.OK, code, out)
	require.Contains(t, out, ": purposes[promotion].basis: law, and was consent in version 2026-11: from 2027-01-01 on nobody is asked")
}

func TestAPurposeThatNobodyActsOnIsWarnedOf(t *testing.T) {
	file := firstVersion(t, "services: [targeting]", "services: [targeting, postmen]")
	code, out, _ := ctl(t, "policy", "lint", file)
	require.Equal(t, exit.OK, code)
	require.Contains(t, out, "\nwarning: "+file+": purposes[personalisation].services: no service is called postmen")
	file = firstVersion(t, "services: [marketing]", "services: [affiliate]", "services: [targeting]", "services: [affiliate, marketing]")
	code, out, _ = ctl(t, "policy", "lint", file)
	require.Equal(t, exit.OK, code)
	require.NotContains(t, out, ".services:", "whom a catalogue names acts on it, without a release")
}

// log is the topics of one test.
type log struct {
	*session
	flags []string
}

func newLog(t *testing.T) *log {
	t.Helper()
	kafka, layout := testenv.Kafka(t), must(deploy.Topics())
	topic := func(name string) string {
		spec, err := layout.Topic(name)
		require.NoError(t, err)
		return kafka.Topic(t, testenv.TopicSpec{Name: name, Partitions: spec.Partitions, Config: map[string]string{
			"message.timestamp.type": spec.Config["message.timestamp.type"], "cleanup.policy": spec.Config["cleanup.policy"],
		}})
	}
	topics := daemon.Topics{Events: topic(deploy.EventsTopic), Policies: topic(deploy.PoliciesTopic), Audit: topic(deploy.AuditTopic)}
	k, err := cluster.New(cluster.Config{Kafka: stream.Config{Brokers: []string{kafka.Addr()}}, Topics: topics})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Close()) })
	return &log{
		session: &session{Cluster: k},
		flags: []string{
			"--brokers", kafka.Addr(), "--topics-events", topics.Events, "--topics-policies", topics.Policies, "--topics-audit", topics.Audit,
		},
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// ctl runs a policy command against the log.
func (l *log) ctl(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	if slices.Contains(args, "--apply") {
		args = append(args, "--reason", "a test")
	}
	return ctl(t, append(append([]string{"policy"}, args...), l.flags...)...)
}

func (l *log) versions(t *testing.T) (names []events.PolicyVersion, records int) {
	t.Helper()
	book, err := l.Book(t.Context())
	require.NoError(t, err)
	for _, c := range book.Versions() {
		names = append(names, c.Version)
	}
	require.NoError(t, l.Read(t.Context(), l.Topics.Policies, func(*stream.Record) error {
		records++
		return nil
	}))
	return names, records
}

func TestPublishIsPlannedThenDoneOnce(t *testing.T) {
	l := newLog(t)
	first, second := firstVersion(t), secondVersion(t)
	code, out, errs := l.ctl(t, "publish", first)
	require.Equal(t, exit.OK, code, errs)
	require.Contains(t, out, "would publish policy aitu, version 2026-11, 13 purposes, sha256:")
	names, _ := l.versions(t)
	require.Empty(t, names, "the plan writes nothing")

	code, out, errs = l.ctl(t, "publish", first, "--apply")
	require.Equal(t, exit.OK, code, errs)
	require.Contains(t, out, "published policy aitu, version 2026-11, 13 purposes, sha256:")
	require.Contains(t, out, " at offset 0\n")

	code, out, _ = l.ctl(t, "publish", first, "--apply")
	require.Equal(t, exit.OK, code)
	require.Contains(t, out, "nothing to do: policy aitu, version 2026-11")
	names, records := l.versions(t)
	require.Equal(t, []events.PolicyVersion{"2026-11"}, names)
	require.Equal(t, 1, records)

	code, out, _ = l.ctl(t, "publish", second, "--apply", "-o", "json")
	require.Equal(t, exit.OK, code)
	var report struct {
		State, File string
		Offset      int
		Changes     []struct{ Kind string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, stateDone, report.State)
	require.Equal(t, second, report.File)
	require.Equal(t, 1, report.Offset)
	require.Len(t, report.Changes, 1)
	names, _ = l.versions(t)
	require.Equal(t, []events.PolicyVersion{"2026-11", "2027-01"}, names)
}

func TestPublishRefusesWhatDoesNotFit(t *testing.T) {
	l := newLog(t)
	code, out, _ := l.ctl(t, "publish", seedFile, "--apply")
	require.Equal(t, exit.Findings, code)
	require.Contains(t, out, seedFile+": operator.bin: is the seed's")
	code, _, errs := l.ctl(t, "publish", firstVersion(t), "--apply")
	require.Equal(t, exit.OK, code, errs)

	code, out, errs = l.ctl(t, "publish", firstVersion(t, "P3Y", "P4Y"), "--apply")
	require.Equal(t, exit.Refused, code)
	require.Empty(t, out)
	require.Contains(t, errs, "refused: policy aitu, version 2026-11: published before with another content: sha256:")

	for want, file := range map[string]string{
		"surveys].coveredfrom: version 2026-11 covers less": secondVersion(t, "coveredfrom: 2027-01", "coveredfrom: 2026-11"),
		"code and purpose do not belong together":           secondVersion(t, "code: 13", "code: 14"),
		"another policy":              secondVersion(t, "policy: aitu", "policy: other"),
		"residency: \"RU\" is not KZ": secondVersion(t, "residency: KZ", "residency: RU"),
	} {
		code, out, _ = l.ctl(t, "publish", file, "--apply")
		require.Equal(t, exit.Findings, code)
		require.Contains(t, out, file+": ")
		require.Contains(t, out, want)
	}
	_, records := l.versions(t)
	require.Equal(t, 1, records)
}

// Two who publish at once both find the version free: the later one is told.
func TestPublishingAtOnceIsNoticed(t *testing.T) {
	l := newLog(t)
	_, err := l.publishVersion(t.Context(), parse(t, firstVersion(t)), "/test")
	require.NoError(t, err)
	_, err = l.publishVersion(t.Context(), parse(t, firstVersion(t, "P3Y", "P4Y")), "/test")
	require.ErrorIs(t, err, policy.ErrRepublished)
	require.ErrorContains(t, err, "at offset 1, but another was first, and services skip it")
	code, _, errs := l.ctl(t, "publish", secondVersion(t), "--apply")
	require.Equal(t, exit.OK, code, "the version that was not first stops nobody: %s", errs)
	require.Contains(t, errs, "records on the topic of policies are skipped")
	book, skipped, err := l.Policies(t.Context())
	require.NoError(t, err)
	require.Len(t, skipped, 1)
	require.Len(t, book.Versions(), 2)
	first, _ := book.Version("2026-11")
	require.Equal(t, parse(t, firstVersion(t)).Hash(), first.Hash())
}

func parse(t *testing.T, file string) *policy.Catalogue {
	t.Helper()
	c, err := mustCatalogue(file)
	require.NoError(t, err)
	return c
}

func TestDiffCountsThePeopleItOpensAQuestionFor(t *testing.T) {
	l := newLog(t)
	first, second := firstVersion(t), secondVersion(t)
	code, _, errs := l.ctl(t, "publish", first, "--apply")
	require.Equal(t, exit.OK, code, errs)

	rules := events.SeedRules()
	encoder := cloudevent.Encoder{Rules: rules, Data: schemas.Data}
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: l.Kafka})
	require.NoError(t, err)
	defer func() { require.NoError(t, producer.Close(t.Context())) }()
	publish := func(who string, kind events.Type, under events.PolicyVersion, purpose events.Purpose) {
		t.Helper()
		subject := must(events.ParseSubject(who))
		m, err := encoder.Encode(&events.Event{
			Method: events.ByPerson, ID: who + kind.String() + string(under), Source: "/test", Type: kind, Subject: subject, Policy: under,
			Purposes: must(rules.Set(purpose)), Decided: events.MillisOf(producer.Now()), Evidence: "urn:test:evidence:1", Data: []byte(`{"channel":"app"}`),
		})
		require.NoError(t, err)
		m.Topic = l.Topics.Events
		_, err = producer.Publish(t.Context(), m)
		require.NoError(t, err)
	}
	for i := range 20 {
		publish(fmt.Sprintf("asked-%d", i), events.Granted, "2026-11", "surveys")
		publish(fmt.Sprintf("other-%d", i), events.Granted, "2026-11", "promotion")
		publish(fmt.Sprintf("gone-%d", i), events.Granted, "2026-11", "surveys")
		publish(fmt.Sprintf("gone-%d", i), events.Withdrawn, "", "surveys")
	}
	publish("ahead", events.Granted, "2027-01", "surveys")
	_, err = producer.Publish(t.Context(), stream.Message{Topic: l.Topics.Events, Partition: 3, Key: []byte("x"), Value: []byte("no event")})
	require.NoError(t, err)

	code, out, errs := l.ctl(t, "diff", first, second)
	require.Equal(t, exit.OK, code, errs)
	require.Contains(t, out, "opens a question for 20 of 61 people\n  surveys: 20\n  not counted: 1 events that cannot be read\n")
	code, out, errs = l.ctl(t, "diff", first, second, "-o", "json")
	require.Equal(t, exit.OK, code, errs)
	require.Contains(t, out, `"asked": 20`)

	other := firstVersion(t, "P3Y", "P4Y")
	code, _, errs = l.ctl(t, "diff", other, second)
	require.Equal(t, exit.Failed, code)
	require.Contains(t, errs, "holds another one than the file")
	require.NoError(t, os.Remove(other))
}
