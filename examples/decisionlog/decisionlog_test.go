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
	found, err := decisionlog.Get(s.T().Context(), s.reg.ReadDB(), id(1))
	s.Require().NoError(err)
	s.Require().Equal(logged, found)
}

func (s *decisionSuite) TestWhatIsLeftOutIsFilledIn() {
	before := time.Now()
	first := s.log(decisionlog.Decision{Actor: "operator", Action: "approve"})
	second := s.log(decisionlog.Decision{Actor: "operator", Action: "approve"})
	for _, d := range []decisionlog.Decision{first, second} { // random, of version 4
		s.Require().Regexp(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, d.ID)
	}
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
	s.Require().NoError(s.reg.ReadDB().QueryRowContext(s.T().Context(), "SELECT timestamp FROM xai_decisions").Scan(&text))
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
	for _, confidence := range []float32{0, math.SmallestNonzeroFloat32, 0.1, 0.85, 1} {
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
		"an id that is no UUID":    func(d *decisionlog.Decision) { d.ID = "d-1" },
		"an id in capitals":        func(d *decisionlog.Decision) { d.ID = "6F1C1AB8-6D3E-4B57-9C1A-0D8F2B7E4A51" },
		"an id without hyphens":    func(d *decisionlog.Decision) { d.ID = "6f1c1ab86d3e4b579c1a0d8f2b7e4a51" },
		"an id and a line feed":    func(d *decisionlog.Decision) { d.ID = id(1) + "\n" },
		"a NUL in the actor":       func(d *decisionlog.Decision) { d.Actor = "a\x00b" },
		"an action in Latin-1":     func(d *decisionlog.Decision) { d.Action = "l\xf6schen" },
		"a rationale in Latin-1":   func(d *decisionlog.Decision) { d.Rationale = "l\xf6schen" },
		"a year without a form":    func(d *decisionlog.Decision) { d.At = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"inputs that are no JSON":  func(d *decisionlog.Decision) { d.Inputs = json.RawMessage(`{"s3cret":}`) },
		"inputs that are two":      func(d *decisionlog.Decision) { d.Inputs = json.RawMessage(`1 2`) },
		"output that is no JSON":   func(d *decisionlog.Decision) { d.Output = json.RawMessage(`s3cret`) },
		"output that is not UTF-8": func(d *decisionlog.Decision) { d.Output = json.RawMessage("\"\xff\"") },
		"half a surrogate pair":    func(d *decisionlog.Decision) { d.Inputs = json.RawMessage(`{"a":"\\\ud83d s3cret"}`) },
		"its other half in a name": func(d *decisionlog.Decision) { d.Output = json.RawMessage(`{"\ud83d\ude00\udE00":1}`) },
		"a number beyond floats":   func(d *decisionlog.Decision) { d.Inputs = json.RawMessage(`[1e400]`) },
		"one that rounds to that":  func(d *decisionlog.Decision) { d.Output = json.RawMessage(`-1.7976931348623158e308`) },
		"a negative confidence":    func(d *decisionlog.Decision) { d.Confidence = math.Nextafter32(0, -1) },
		"too much confidence":      func(d *decisionlog.Decision) { d.Confidence = math.Nextafter32(1, 2) },
		"NaN":                      func(d *decisionlog.Decision) { d.Confidence = float32(math.NaN()) },
		"an infinity":              func(d *decisionlog.Decision) { d.Confidence = float32(math.Inf(1)) },
		"a negative infinity":      func(d *decisionlog.Decision) { d.Confidence = float32(math.Inf(-1)) },
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

// Go and SQLite read JSON that is nested deeper, and greater numbers.
func (s *decisionSuite) TestJSONThatOxideKJustReads() {
	for _, text := range []string{
		strings.Repeat("[", decisionlog.MaxDepth) + strings.Repeat("]", decisionlog.MaxDepth),
		strings.Repeat(`{"a":[`, 63) + strings.Repeat("]}", 63) + "", // 126
		"[" + strings.Repeat("[],", 1000) + "[]]",
		`[1e308,-1e308,1e-400,0.10,-0,` + strings.Repeat("9", 308) + `]`,
		`"\ud83d\uDE00 \\ud83d \" \\\ud83d\ude00 [[[ 1e400"`,
	} {
		d := valid()
		d.ID, d.Inputs = "", json.RawMessage(text)
		s.Require().Equal(text, string(s.log(d).Inputs))
	}
	d := valid()
	d.Output = json.RawMessage(strings.Repeat("[", decisionlog.MaxDepth+1) + strings.Repeat("]", decisionlog.MaxDepth+1))
	_, err := s.tryLog(d)
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().ErrorContains(err, "127")
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
		other.ID = id(2) // the transaction goes on
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
		Revision: before + 1, Subject: decisionlog.Subject, Key: id(1), Op: registry.OpPut, At: noon,
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
		d.ID = id(2)
		_, err = decisionlog.Log(ctx, tx, d)
		s.Require().ErrorIs(err, registry.ErrReadOnly)
		return nil
	}))
}
