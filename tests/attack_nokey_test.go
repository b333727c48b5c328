package tests

import (
	"context"

	"github.com/oxide-k/stateregistry/registry"
)

// Without the key all is there that is not encrypted, and nothing that is: no value is read, written or deleted.
func (s *attackSuite) TestWithoutTheKeyNoValueIsReadOrWritten() {
	path := s.create("x.db", rawKEK32())
	for name, opts := range map[string][]registry.Option{"": nil, "read-only": {registry.WithReadOnly()}} {
		s.Run(name, func() {
			reg := s.openLocked(path, opts...)
			ctx := s.T().Context()
			s.readsWhatIsNotEncrypted(ctx, reg)
			s.cannotReadWithoutTheKey(ctx, reg)
			s.Require().NoError(reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
				s.readsWhatIsNotEncrypted(ctx, tx)
				s.cannotReadWithoutTheKey(ctx, tx)
				return nil
			}))
			report, err := reg.Verify(ctx)
			s.Require().NoError(err)
			s.Require().Equal(registry.VerifyReport{Modules: 1, Config: 3, Changes: 4}, report)
			_, err = reg.KeysetInfo(ctx)
			s.refuses(err, registry.ErrEncrypted)
			if opts == nil {
				s.cannotWrite(ctx, reg, registry.ErrEncrypted)
				_, err = reg.RotateKeyset(ctx)
				s.refuses(err, registry.ErrEncrypted)
				s.refuses(reg.Rewrap(ctx, rawKEK32()), registry.ErrEncrypted)
				return
			}
			_, err = reg.SetConfig(ctx, victim, canary) // two reasons, either of which is true
			s.refuses(err)
			s.Require().True(isOneOf(err, registry.ErrEncrypted, registry.ErrReadOnly), "%v", err)
			_, err = reg.DeleteConfig(ctx, victim)
			s.refuses(err, registry.ErrReadOnly)
			_, err = reg.RotateKeyset(ctx)
			s.refuses(err, registry.ErrReadOnly)
			s.refuses(reg.Rewrap(ctx, rawKEK32()), registry.ErrReadOnly)
		})
	}
	s.opensWhole(path, rawKEK32())
}

func (s *attackSuite) TestWithoutTheKeyTheRestIsWritable() {
	path := s.create("x.db", rawKEK32())
	reg := s.openLocked(path)
	ctx := s.T().Context()
	revision, err := reg.SetModuleState(ctx, "echo", registry.StateRunning)
	s.Require().NoError(err)
	s.Require().EqualValues(5, revision)
	s.Require().NoError(reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		s.cannotReadWithoutTheKey(ctx, tx)
		s.cannotWrite(ctx, tx, registry.ErrEncrypted)
		_, err := tx.UpsertModule(ctx, registry.ModuleMetadata{ID: "other", Kind: registry.KindWasm}, registry.StateLoaded)
		return err // the refusals spoil nothing
	}))
	deleted, err := reg.DeleteModule(ctx, "other")
	s.Require().NoError(err)
	s.Require().True(deleted)
	revision, err = reg.Revision(ctx)
	s.Require().NoError(err)
	s.Require().EqualValues(7, revision)

	// A copy needs no key, and opens with it.
	s.Require().NoError(reg.Backup(ctx, s.file("copy.db")))
	s.Require().Empty(secretsIn(s.read(s.file("copy.db"))))
	s.opensWhole(s.file("copy.db"), rawKEK32())
	s.Require().NoError(reg.Close())
	s.opensWhole(path, rawKEK32())
}

// What is damaged is found without the key too, as far as the form shows it.
func (s *attackSuite) TestVerifyWithoutTheKeyLooksAtTheForm() {
	path := s.create("x.db", rawKEK32())
	reg := s.openLocked(path)
	whole := s.stored(path, victim)
	for _, text := range []string{`"` + canary + `"`, "", whole[:20], whole + "=", "enc:", "enc:v1:00000001:"} {
		s.plant(path, victim, text)
		s.isTheOneProblem(reg, victim)
		s.isTheOneProblem(s.openLocked(path), victim)
		// and nobody who has no key is shown what is no ciphertext.
		s.refuses(reg.GetConfig(s.T().Context(), victim, new(any)), registry.ErrEncrypted)
	}
	s.plant(path, victim, whole)
	_, err := reg.Verify(s.T().Context())
	s.Require().NoError(err)
}

func (s *attackSuite) readsWhatIsNotEncrypted(ctx context.Context, r registry.Reader) {
	s.T().Helper()
	modules, err := r.ListModules(ctx)
	s.Require().NoError(err)
	s.Require().Len(modules, 1)
	_, err = r.GetModule(ctx, "echo")
	s.Require().NoError(err)
	revision, err := r.Revision(ctx)
	s.Require().NoError(err)
	s.Require().EqualValues(4, revision)
	changes, err := r.Changes(ctx, 0, 10)
	s.Require().NoError(err)
	s.Require().Len(changes, 4)
	for _, key := range []string{victim, neighbour1, neighbour2} {
		e, err := r.GetConfigEntry(ctx, key)
		s.Require().NoError(err)
		s.Require().True(e.Encrypted)
		s.Require().Positive(e.Revision)
		s.Require().False(e.UpdatedAt.IsZero())
	}
	s.Require().ErrorIs(r.GetConfig(ctx, "none", new(any)), registry.ErrConfigNotFound)
}

func (s *attackSuite) cannotReadWithoutTheKey(ctx context.Context, r registry.Reader) {
	s.T().Helper()
	entries, err := r.ListConfig(ctx, "")
	s.Require().NoError(err)
	s.Require().Len(entries, 3)
	for _, e := range entries {
		var dst any
		s.Require().True(e.Encrypted)
		s.refuses(e.Decode(&dst), registry.ErrEncrypted)
		s.refuses(r.GetConfig(ctx, e.Key, &dst), registry.ErrEncrypted)
		value, err := registry.Get[any](ctx, r, e.Key)
		s.refuses(err, registry.ErrEncrypted)
		_, found, err := registry.TryGet[any](ctx, r, e.Key)
		s.refuses(err, registry.ErrEncrypted)
		s.Require().False(found)
		s.Require().Nil(value)
		s.Require().Nil(dst)
	}
	_, found, err := registry.TryGet[any](ctx, r, "none")
	s.Require().NoError(err)
	s.Require().False(found)
}

// cannotWrite fails unless each write to config gives the reason.
func (s *attackSuite) cannotWrite(ctx context.Context, w registry.Writer, reason error) {
	s.T().Helper()
	for _, key := range []string{victim, "new"} {
		revision, err := w.SetConfig(ctx, key, canary)
		s.refuses(err, reason)
		s.Require().Zero(revision)
		deleted, err := w.DeleteConfig(ctx, key)
		s.refuses(err, reason)
		s.Require().False(deleted)
		_, err = registry.Modify(ctx, w, key, func(any, bool) (any, error) { return canary, nil })
		s.refuses(err, reason)
	}
	_, err := w.SetConfig(ctx, "new", canary, registry.IfRevision(0))
	s.refuses(err, reason)
}
