package tests

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// rekeySuite is what the suites about keys embed: an encrypted registry in a file for each test.
type rekeySuite struct {
	rowSuite
	ctx context.Context
}

func (s *rekeySuite) SetupTest() {
	s.ctx = s.T().Context()
	s.mode = mode{name: "encrypted", open: openKEK1}
	s.path = filepath.Join(s.T().TempDir(), "registry.db")
	s.reg = s.open()
}

// openKEK1 opens an encrypted registry with the first of these tests' keys.
func openKEK1(ctx context.Context, path string, opts ...registry.Option) (*registry.Registry, error) {
	return registry.OpenEncrypted(ctx, path, kekOf(1), opts...)
}

// fill writes entries, whose values are their numbers, in one transaction.
func (s *rekeySuite) fill(reg *registry.Registry, entries int) {
	s.Require().NoError(fillNumbers(s.ctx, reg, entries))
}

func fillNumbers(ctx context.Context, reg *registry.Registry, entries int) error {
	return reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		for i := range entries {
			if _, err := tx.SetConfig(ctx, numberKey(i), i); err != nil {
				return err
			}
		}
		return nil
	})
}

func numberKey(i int) string { return fmt.Sprintf("number/%06d", i) }

// holds requires that each entry of fill has the value of its number.
func (s *rekeySuite) holds(reg registry.Reader, entries int) {
	found, err := reg.ListConfig(s.ctx, "number/")
	s.Require().NoError(err)
	s.Require().Len(found, entries)
	for i, entry := range found {
		var n int
		s.Require().NoError(entry.Decode(&n))
		s.Require().Equal(i, n)
	}
}

// keys are the markers in the file, with the number of values under each.
func (s *rekeySuite) keys(reg *registry.Registry) map[string]int {
	found := map[string]int{}
	rows, err := reg.ReadDB().QueryContext(s.ctx, "SELECT substr(value, 1, 16), count(*) FROM config GROUP BY 1")
	s.Require().NoError(err)
	defer rows.Close()
	for rows.Next() {
		var marker string
		var n int
		s.Require().NoError(rows.Scan(&marker, &n))
		found[marker] = n
	}
	s.Require().NoError(rows.Err())
	return found
}

func (s *rekeySuite) info(reg *registry.Registry) keyset.Info {
	info, err := reg.KeysetInfo(s.ctx)
	s.Require().NoError(err)
	return info
}

func (s *rekeySuite) rotate(reg *registry.Registry, opts ...registry.RotateOption) registry.RotateReport {
	report, err := reg.RotateKeyset(s.ctx, opts...)
	s.Require().NoError(err)
	return report
}

// holdsNoCanary requires that neither a file nor what lies beside it holds the canary.
func (s *rekeySuite) holdsNoCanary(path string) {
	files, err := filepath.Glob(path + "*")
	s.Require().NoError(err)
	s.Require().NotEmpty(files)
	for _, file := range files {
		data, err := os.ReadFile(file)
		s.Require().NoError(err)
		for _, secret := range strings.Fields(canary) {
			s.Require().NotContains(string(data), secret, file)
		}
	}
}
