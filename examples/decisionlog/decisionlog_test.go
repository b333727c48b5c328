package decisionlog_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/oxide-k/stateregistry/examples/decisionlog"
	"github.com/oxide-k/stateregistry/registry"
)

type decisionSuite struct{ logSuite }

func (s *decisionSuite) TestADecisionIsReadAsItWasLogged() {
	logged := s.log(valid())
	s.Require().Equal(valid(), logged)
	found, err := decisionlog.Get(s.T().Context(), s.reg.ReadDB(), "d-1")
	s.Require().NoError(err)
	s.Require().Equal(logged, found)
}

func (s *decisionSuite) TestWhatIsLeftOutIsFilledIn() {
	before := time.Now()
	first := s.log(decisionlog.Decision{Actor: "operator", Action: "approve"})
	second := s.log(decisionlog.Decision{Actor: "operator", Action: "approve"})
	s.Require().NotEmpty(first.ID)
	s.Require().NotEqual(first.ID, second.ID)
	s.Require().WithinRange(first.At, before.Round(0), time.Now().Round(0))
	s.Require().Equal(time.UTC, first.At.Location())
	s.Require().Equal("null", string(first.Inputs))
	s.Require().Equal("null", string(first.Output))
	found, err := decisionlog.Get(s.T().Context(), s.reg.ReadDB(), first.ID)
	s.Require().NoError(err)
	s.Require().Equal(first, found)
}

func (s *decisionSuite) TestATimeIsStoredInUTCToTheNanosecond() {
	d := valid()
	d.At = noon.In(time.FixedZone("", 5*60*60+30*60))
	s.Require().Equal(noon, s.log(d).At)
	var text string
	s.Require().NoError(s.reg.ReadDB().QueryRowContext(s.T().Context(), "SELECT at FROM decisions").Scan(&text))
	s.Require().Equal("2026-03-14T12:00:00.123456789+00:00", text)
}

func (s *decisionSuite) TestEachTimeThatHasAnRFC3339FormIsTaken() {
	for _, at := range []time.Time{
		time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2024, 2, 29, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		d := valid()
		d.ID, d.At = "", at
		found, err := decisionlog.Get(s.T().Context(), s.reg.ReadDB(), s.log(d).ID)
		s.Require().NoError(err)
		s.Require().Equal(at, found.At)
	}
}

func (s *decisionSuite) TestJSONIsStoredCompactAndOtherwiseAsItCame() {
	for given, stored := range map[string]string{
		" {\n\t\"b\": 1,\n\t\"a\": [1, 2]\n} ": `{"b":1,"a":[1,2]}`,
		`"<a> & \u2028 ü \ufffd"`:              `"<a> & \u2028 ü \ufffd"`,
		`12345678901234567890.10`:              `12345678901234567890.10`,
		`null`:                                 `null`,
	} {
		d := valid()
		d.ID, d.Inputs, d.Output = "", json.RawMessage(given), json.RawMessage(given)
		found, err := decisionlog.Get(s.T().Context(), s.reg.ReadDB(), s.log(d).ID)
		s.Require().NoError(err)
		s.Require().Equal(stored, string(found.Inputs))
		s.Require().Equal(stored, string(found.Output))
	}
}

func (s *decisionSuite) TestTheCallersJSONIsNotShared() {
	d := valid()
	logged := s.log(d)
	logged.Inputs[0], logged.Output[0] = '!', '!'
	s.Require().Equal(valid(), d)
}

func (s *decisionSuite) TestConfidenceIsBetweenZeroAndOne() {
	for _, confidence := range []float64{0, math.SmallestNonzeroFloat64, 0.1, 1} {
		d := valid()
		d.ID, d.Confidence = "", confidence
		found, err := decisionlog.Get(s.T().Context(), s.reg.ReadDB(), s.log(d).ID)
		s.Require().NoError(err)
		s.Require().Equal(confidence, found.Confidence)
	}
}

func (s *decisionSuite) TestWhatIsNoDecisionIsRefusedAndNothingIsWritten() {
	before := s.revision()
	for name, spoil := range map[string]func(*decisionlog.Decision){
		"no actor":                 func(d *decisionlog.Decision) { d.Actor = "" },
		"no action":                func(d *decisionlog.Decision) { d.Action = "" },
		"an id that is not UTF-8":  func(d *decisionlog.Decision) { d.ID = "\xff" },
		"an id that is too long":   func(d *decisionlog.Decision) { d.ID = strings.Repeat("x", registry.MaxKey+1) },
		"a NUL in the actor":       func(d *decisionlog.Decision) { d.Actor = "a\x00b" },
		"an action in Latin-1":     func(d *decisionlog.Decision) { d.Action = "l\xf6schen" },
		"a rationale in Latin-1":   func(d *decisionlog.Decision) { d.Rationale = "l\xf6schen" },
		"a year without a form":    func(d *decisionlog.Decision) { d.At = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"inputs that are no JSON":  func(d *decisionlog.Decision) { d.Inputs = json.RawMessage(`{"s3cret":}`) },
		"inputs that are two":      func(d *decisionlog.Decision) { d.Inputs = json.RawMessage(`1 2`) },
		"output that is no JSON":   func(d *decisionlog.Decision) { d.Output = json.RawMessage(`s3cret`) },
		"output that is not UTF-8": func(d *decisionlog.Decision) { d.Output = json.RawMessage("\"\xff\"") },
		"a negative confidence":    func(d *decisionlog.Decision) { d.Confidence = math.Nextafter(0, -1) },
		"too much confidence":      func(d *decisionlog.Decision) { d.Confidence = math.Nextafter(1, 2) },
		"NaN":                      func(d *decisionlog.Decision) { d.Confidence = math.NaN() },
		"an infinity":              func(d *decisionlog.Decision) { d.Confidence = math.Inf(1) },
		"a negative infinity":      func(d *decisionlog.Decision) { d.Confidence = math.Inf(-1) },
	} {
		d := valid()
		d.Rationale = "s3cret"
		spoil(&d)
		_, err := s.tryLog(d)
		s.Require().ErrorIs(err, registry.ErrInvalid, name)
		s.Require().NotContains(err.Error(), "s3cret", name)
	}
	s.Require().Empty(s.recent())
	s.Require().Equal(before, s.revision())
}

// Go reads JSON that is nested deeper than SQLite does; what the table takes, both read.
func (s *decisionSuite) TestJSONThatOnlyGoReadsIsRefusedByTheTable() {
	nested := func(depth int) json.RawMessage {
		return json.RawMessage(strings.Repeat("[", depth) + strings.Repeat("]", depth))
	}
	d := valid()
	d.Inputs = nested(1001)
	_, err := s.tryLog(d)
	s.Require().Error(err)
	s.Require().Empty(s.recent())
	d.Inputs = nested(1000)
	s.Require().Equal(d, s.log(d))
}

func (s *decisionSuite) TestAnIDIsTakenOnce() {
	s.log(valid())
	before := s.revision()
	other := valid()
	other.Actor, other.Action = "operator", "approve"
	s.Require().NoError(s.update(func(ctx context.Context, tx *registry.Tx) error {
		_, err := decisionlog.Log(ctx, tx, other)
		s.Require().ErrorIs(err, decisionlog.ErrExists)
		s.Require().NotErrorIs(err, registry.ErrInvalid)
		other.ID = "d-2" // the transaction goes on
		_, err = decisionlog.Log(ctx, tx, other)
		return err
	}))
	s.Require().Equal([]decisionlog.Decision{other, valid()}, s.recent())
	s.Require().Equal(before+1, s.revision())
}

func (s *decisionSuite) TestADecisionThatIsNotThereIsNotFound() {
	_, err := decisionlog.Get(s.T().Context(), s.reg.ReadDB(), "absent")
	s.Require().ErrorIs(err, decisionlog.ErrNotFound)
}

func (s *decisionSuite) TestADecisionAndWhatItChangedAreCommittedTogether() {
	before := s.revision()
	s.Require().NoError(s.update(func(ctx context.Context, tx *registry.Tx) error {
		if _, err := decisionlog.Log(ctx, tx, valid()); err != nil {
			return err
		}
		_, err := tx.SetModuleState(ctx, mirror.ID, registry.StateStopping)
		return err
	}))
	changes, err := s.reg.Changes(s.T().Context(), before, 10)
	s.Require().NoError(err)
	s.Require().Len(changes, 2)
	s.Require().Equal(registry.Change{
		Revision: before + 1, Subject: decisionlog.Subject, Key: "d-1", Op: registry.OpPut, At: noon,
	}, changes[0])
	s.Require().Equal(before+2, changes[1].Revision)
	s.Require().Equal(registry.SubjectModule, changes[1].Subject)
	module, err := s.reg.GetModule(s.T().Context(), mirror.ID)
	s.Require().NoError(err)
	s.Require().Equal(before+2, module.Revision)
}

func (s *decisionSuite) TestOrNeitherIs() {
	before := s.revision()
	undone := errors.New("undone")
	s.Require().ErrorIs(s.update(func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.SetModuleState(ctx, mirror.ID, registry.StateStopping)
		s.Require().NoError(err)
		_, err = decisionlog.Log(ctx, tx, valid())
		s.Require().NoError(err)
		n, err := decisionlog.Count(ctx, tx)
		s.Require().NoError(err)
		s.Require().EqualValues(1, n, "the transaction sees what it wrote")
		return undone
	}), undone)
	s.Require().Empty(s.recent())
	s.Require().Equal(before, s.revision())
	module, err := s.reg.GetModule(s.T().Context(), mirror.ID)
	s.Require().NoError(err)
	s.Require().Equal(registry.StateRunning, module.State)
}

func (s *decisionSuite) TestAViewReadsAndDoesNotLog() {
	s.log(valid())
	s.Require().NoError(s.reg.View(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		list, err := decisionlog.Recent(ctx, tx, 1)
		s.Require().NoError(err)
		s.Require().Equal([]decisionlog.Decision{valid()}, list)
		d := valid()
		d.ID = "d-2"
		_, err = decisionlog.Log(ctx, tx, d)
		s.Require().ErrorIs(err, registry.ErrReadOnly)
		return nil
	}))
}
