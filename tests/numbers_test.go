package tests

import (
	"context"
	"fmt"
	"sync"
	"testing/fstest"

	"github.com/oxide-k/stateregistry/registry"
)

// followers is a subsystem whose rows go with the changes that they are about, and say so in the log.
var followers = fstest.MapFS{"00001_followers.sql": {Data: []byte(`
CREATE TABLE followers (
    id       TEXT PRIMARY KEY,
    at       TEXT NOT NULL,
    revision INTEGER NOT NULL REFERENCES changes (revision) ON DELETE CASCADE
);
CREATE INDEX followers_revision ON followers (revision);
CREATE TRIGGER followers_delete AFTER DELETE ON followers BEGIN
    INSERT INTO changes (subject, key, op, at) VALUES ('followers', OLD.id, 'delete', OLD.at);
END;`)}}

// Writes that share a transaction number themselves. Where the log is compacted within it, others may log something.
func (s *triggerSuite) TestRevisionsAreRightWhereTheLogIsCompactedAndRowsGoWithIt() {
	ctx := s.T().Context()
	reg, err := s.mode.open(ctx, s.mode.path(s.T()),
		registry.WithMigrations("followers", followers), registry.WithLogLimit(10), registry.WithDurability(registry.Normal))
	s.Require().NoError(err)
	defer func() { closeVerified(s.T(), reg) }()
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := range s.mode.rounds(200) {
				key := fmt.Sprint("k", g)
				revision, err := reg.SetConfig(ctx, key, i)
				s.NoError(err)
				entry, err := reg.GetConfigEntry(ctx, key)
				s.NoError(err)
				s.Equal(entry.Revision, revision)
				if g > 0 {
					continue
				}
				s.NoError(reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
					revision, err := tx.SetConfig(ctx, key, -i)
					s.NoError(err)
					_, err = tx.ExecContext(ctx, "INSERT INTO followers VALUES (?, '2026-01-01T00:00:00Z', ?)", fmt.Sprint(i), revision)
					return err
				}))
			}
		})
	}
	all.Wait()
}
