package tests

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

func TestScan(t *testing.T) {
	runInModes(t, func() *scanSuite { return &scanSuite{} })
}

// scanSuite is about ScanConfig where it differs from ListConfig. That both give the same entries, keySuite and the model
// look at too.
type scanSuite struct{ rowSuite }

// scanned is what a scan gives, and the error that it ends with.
func scanned(scan iter.Seq2[registry.ConfigEntry, error]) (entries []registry.ConfigEntry, err error) {
	for entry, e := range scan {
		if e != nil {
			return entries, e
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// scanPages is more entries than three pages hold, some of them longer than a page's values may be.
const scanPages = 500

func scanKey(i int) string { return fmt.Sprintf("scan/%04d", i) }

// scanValue is as long as a value that is read by itself for every hundredth entry, and for the last.
func scanValue(i int) string {
	if i%100 == 0 || i == scanPages-1 {
		return strings.Repeat("x", 20_000) + fmt.Sprint(i)
	}
	return fmt.Sprint(i)
}

func (s *scanSuite) fill() {
	s.Require().NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for i := range scanPages {
			if _, err := tx.SetConfig(ctx, scanKey(i), scanValue(i)); err != nil {
				return err
			}
		}
		_, err := tx.SetConfig(ctx, "scan0", "behind the prefix")
		return err
	}))
}

func (s *scanSuite) TestItGivesWhatAListGives() {
	s.fill()
	s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		if reg != s.reg {
			return
		}
		s.Require().NoError(run(func(ctx context.Context, w registry.Writer) error {
			for _, prefix := range []string{"", "scan/", "scan/02", "nothing"} {
				listed, err := w.ListConfig(ctx, prefix)
				s.Require().NoError(err)
				entries, err := scanned(w.ScanConfig(ctx, prefix))
				s.Require().NoError(err)
				s.Require().Len(entries, len(listed))
				for i, entry := range entries {
					s.Require().Equal(listed[i].String(), entry.String())
					s.Require().Equal(listed[i].UpdatedAt, entry.UpdatedAt)
					s.Require().Equal(listed[i].Encrypted, entry.Encrypted)
					var want, got string
					s.Require().NoError(listed[i].Decode(&want))
					s.Require().NoError(entry.Decode(&got))
					s.Require().Equal(want, got)
				}
			}
			return nil
		}))
	})
}

func (s *scanSuite) TestTheBodyMayWriteAndTakeItsTime() {
	s.fill()
	ctx := s.T().Context()
	last := scanKey(scanPages - 1)
	var seen []string
	for entry, err := range s.reg.ScanConfig(ctx, "scan/") {
		s.Require().NoError(err)
		seen = append(seen, entry.Key)
		if len(seen) == 1 {
			_, err := s.reg.DeleteConfig(ctx, scanKey(400)) // a long one, pages away
			s.Require().NoError(err)
			_, err = s.reg.DeleteConfig(ctx, scanKey(300)+"x") // none
			s.Require().NoError(err)
			_, err = s.reg.SetConfig(ctx, scanKey(450)+"/new", 1)
			s.Require().NoError(err)
			_, err = s.reg.SetConfig(ctx, last, "changed")
			s.Require().NoError(err)
			_, err = s.reg.SetConfig(ctx, "scan", "before all that is still to come")
			s.Require().NoError(err)
		}
		if entry.Key == last {
			var value string
			s.Require().NoError(entry.Decode(&value))
			s.Require().Equal("changed", value)
		}
	}
	s.Require().Len(seen, scanPages)
	s.Require().NotContains(seen, scanKey(400))
	s.Require().Contains(seen, scanKey(450)+"/new")
}

// A long value is read after its page was.
func (s *scanSuite) TestALongValueThatIsDeletedMeanwhileIsLeftOut() {
	s.fill()
	ctx := s.T().Context()
	var seen []string
	for entry, err := range s.reg.ScanConfig(ctx, "scan/") {
		s.Require().NoError(err)
		if seen = append(seen, entry.Key); entry.Key == scanKey(99) {
			_, err := s.reg.DeleteConfig(ctx, scanKey(100))
			s.Require().NoError(err)
		}
	}
	s.Require().Len(seen, scanPages-1)
	s.Require().NotContains(seen, scanKey(100))
}

func (s *scanSuite) TestInATransactionItIsOneSnapshot() {
	if s.mode.memory {
		s.T().Skip("no snapshots in memory")
	}
	s.fill()
	err := s.reg.View(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		seen := 0
		for entry, err := range tx.ScanConfig(ctx, "scan/") {
			s.Require().NoError(err)
			if seen == 0 {
				_, err := s.reg.DeleteConfig(context.Background(), scanKey(400))
				s.Require().NoError(err)
				_, err = s.reg.SetConfig(context.Background(), scanKey(300), "changed")
				s.Require().NoError(err)
			}
			var value string
			s.Require().NoError(entry.Decode(&value))
			s.Require().Equal(scanValue(seen), value)
			seen++
		}
		s.Require().Equal(scanPages, seen)
		return nil
	})
	s.Require().NoError(err)
}

func (s *scanSuite) TestItEndsWithItsFirstError() {
	s.fill()
	_, err := scanned(s.reg.ScanConfig(s.T().Context(), "\xff"))
	s.Require().ErrorIs(err, registry.ErrInvalid)

	ctx, cancel := context.WithCancel(s.T().Context())
	defer cancel()
	scan := s.reg.ScanConfig(ctx, "scan/")
	for range scan {
		break // and the next loop begins anew
	}
	elements := 0
	for entry, e := range scan {
		if elements++; elements == 1 {
			s.Require().NoError(e)
			cancel()
		}
		if e != nil {
			s.Require().ErrorIs(e, context.Canceled)
			s.Require().Equal(registry.ConfigEntry{}, entry)
			err = e
		}
	}
	s.Require().ErrorIs(err, context.Canceled)
	s.Require().Less(elements, scanPages)
}

func (s *scanSuite) TestItFollowsARotation() {
	if !s.mode.encrypted() || s.mode.memory {
		s.T().Skip("no other handle that rotates")
	}
	s.fill()
	other := s.open()
	defer other.Close()
	seen := 0
	for entry, err := range s.reg.ScanConfig(s.T().Context(), "scan/") {
		s.Require().NoError(err)
		if seen++; seen%200 == 1 {
			_, err := other.RotateKeyset(s.T().Context())
			s.Require().NoError(err)
		}
		var value string
		s.Require().NoError(entry.Decode(&value)) // with the keyset that its page was read with, or a newer one
	}
	s.Require().Equal(scanPages, seen)
}

func (s *scanSuite) TestWithoutTheKeyItGivesTheEntries() {
	if !s.mode.encrypted() || s.mode.memory {
		s.T().Skip("nothing that another handle cannot read")
	}
	s.fill()
	keyless, err := registry.Open(s.T().Context(), s.path)
	s.Require().NoError(err)
	defer keyless.Close()
	entries, err := scanned(keyless.ScanConfig(s.T().Context(), "scan/"))
	s.Require().NoError(err)
	s.Require().Len(entries, scanPages)
	for _, entry := range entries {
		var value string
		s.Require().ErrorIs(entry.Decode(&value), registry.ErrEncrypted)
	}
}
