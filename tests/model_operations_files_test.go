package tests

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// options are what each registry is opened with. Few wait for the disk at each commit: nothing crashes here.
func (r *modelRun) options(opts ...registry.Option) []registry.Option {
	durability := registry.Normal
	if r.chance(5) {
		durability = registry.Full
	}
	return append([]registry.Option{
		registry.WithClock(func() time.Time { return r.now }), registry.WithMaxValue(modelMaxValue),
		registry.WithMigrations("audit", modelAudit), registry.WithDurability(durability),
	}, opts...)
}

// openAt opens a path with what wraps the keyset now.
func (r *modelRun) openAt(path string, opts ...registry.Option) *registry.Registry {
	open := r.mode.open
	if r.kek != 0 {
		open = encryptedWith(r.keks[r.kek])
	}
	cached := r.chance(2)
	if cached {
		r.say("the next handle has a cache")
		opts = append(opts, registry.WithReadCache(pickOne(r.random, []int64{4 << 10, 1 << 20})))
	}
	reg, err := open(r.ctx, path, r.options(opts...)...)
	r.NoError(err)
	if cached {
		r.cached[reg] = true
	}
	return reg
}

// open opens a handle more.
func (r *modelRun) open(opts ...registry.Option) {
	r.handles = append(r.handles, r.openAt(r.path, opts...))
}

// close closes one of the handles.
func (r *modelRun) close(i int) {
	reg := r.handles[i]
	r.NoError(reg.Close())
	delete(r.cached, reg)
	r.handles = append(r.handles[:i:i], r.handles[i+1:]...)
	_, err := reg.Revision(r.ctx)
	r.isTyped(err, registry.ErrClosed)
}

func (r *modelRun) isTyped(err, want error) { (&modelCalls{modelRun: r}).isTyped(err, want) }

// reopen closes a handle, or all of them, and opens one in its place, at times with another limit to the log.
func (r *modelRun) reopen() {
	all := r.chance(2)
	r.say("reopen, all: %v", all)
	r.close(r.random.IntN(len(r.handles)))
	for all && len(r.handles) > 0 {
		r.close(0)
	}
	if r.chance(2) {
		r.open()
		return
	}
	r.state.limit = pickOne(r.random, []int64{1, 2, 10, 63, 64, 65, 100, 500})
	r.say("from now on with a log of %d", r.state.limit)
	r.open(registry.WithLogLimit(r.state.limit))
}

// second opens a second handle, or closes one of two.
func (r *modelRun) second() {
	if len(r.handles) > 1 {
		r.say("one handle only")
		r.meet("second: closed")
		r.close(r.random.IntN(2))
		return
	}
	r.say("two handles")
	r.meet("second: opened")
	r.open()
}

// backup makes a copy, which is the same, and a registry of its own.
func (r *modelRun) backup() {
	r.say("Backup")
	path := filepath.Join(r.t.TempDir(), "backup.db")
	r.NoError(r.handle().Backup(r.ctx, path))
	r.isTyped(r.handle().Backup(r.ctx, path), fs.ErrExist)
	copied := r.openAt(path)
	defer r.within()()
	x := r.through(copied)
	x.state = r.state.clone()
	x.compare()
	for range 5 {
		x.write()
	}
	x.compare()
	r.NoError(copied.Close())
	r.NoError(os.Remove(path))
}

// restore makes a backup, goes on, and puts the backup back: all is as it was, but for the revision, and for the log, which begins
// anew. Who holds a handle, or remembers a revision, notices.
func (r *modelRun) restore() {
	r.say("Restore")
	backup := filepath.Join(r.t.TempDir(), "backup.db")
	r.NoError(r.handle().Backup(r.ctx, backup))
	then := r.state.clone()
	for range r.random.IntN(4) {
		r.outside().write()
	}
	_, err := registry.Restore(r.ctx, backup, r.path)
	r.isTyped(err, registry.ErrBusy)
	for len(r.handles) > 0 {
		r.close(0)
	}
	var opts []registry.RestoreOption
	if kek := r.keks[r.kek]; kek.Kind() != "" {
		opts = append(opts, registry.RestoreWithKEK(kek))
	}
	report, err := registry.Restore(r.ctx, backup, r.path, opts...)
	r.NoError(err)
	lost := r.state.revision
	then.revision = max(then.revision, lost) + 1<<32
	then.log = []registry.Change{{Revision: then.revision, Subject: registry.SubjectRegistry, Key: report.ID, Op: registry.OpPut}}
	r.Equal(then.revision, report.Revision)
	r.Equal(int64(len(then.modules)), report.Modules)
	r.Equal(int64(len(then.config)), report.Config)
	*r.state = *then
	r.open()
	changes, err := r.handles[0].Changes(r.ctx, report.Revision-1, 1)
	r.NoError(err)
	r.state.log[0].At = changes[0].At // by the clock of the machine
	_, err = r.handles[0].Changes(r.ctx, lost, 1)
	r.isTyped(err, registry.ErrCompacted)
	r.NoError(errors.Join(os.Remove(report.Kept), os.Remove(backup)))
	r.through(r.handles[0]).compare()
}

// otherOpenings look at the file in another way than the mode's.
func (r *modelRun) otherOpenings() {
	r.say("open read-only")
	reading := r.openAt(r.path, registry.WithReadOnly())
	x := r.through(reading)
	x.compare()
	_, err := reading.SetConfig(r.ctx, r.key(), 1)
	r.isTyped(err, registry.ErrReadOnly)
	_, err = reading.DeleteModule(r.ctx, r.key())
	r.isTyped(err, registry.ErrReadOnly)
	r.NoError(reading.Close())

	if !r.mode.encrypted() {
		if len(r.state.config) > 0 { // it would be encrypted
			_, err := registry.OpenEncrypted(r.ctx, r.path, kekOf(9), r.options()...)
			r.isTyped(err, registry.ErrNotEncrypted)
		}
		return
	}
	r.say("open with a wrong key")
	_, err = registry.OpenEncrypted(r.ctx, r.path, kekOf(9), r.options()...)
	r.isTyped(err, registry.ErrWrongKey)

	r.say("open without a key")
	keyless, err := registry.Open(r.ctx, r.path, r.options()...)
	r.NoError(err)
	x = r.through(keyless)
	x.keyless = true
	x.compare()
	_, err = keyless.SetConfig(r.ctx, r.key(), 1)
	r.isTyped(err, registry.ErrEncrypted)
	_, err = keyless.DeleteConfig(r.ctx, r.key())
	r.isTyped(err, registry.ErrEncrypted)
	x.upsertModule()
	x.deleteModule()
	x.compare()
	r.NoError(keyless.Close())
}

// convert makes a plaintext file of an encrypted one and back, or the other way round: no revision comes of it.
func (r *modelRun) convert() {
	for len(r.handles) > 0 {
		r.close(0)
	}
	kek, opts := r.keks[r.kek], r.options()
	if !r.mode.encrypted() {
		kek = kekOf(9)
		r.encrypt(kek)
		encrypted, err := registry.OpenEncrypted(r.ctx, r.path, kek, opts...)
		r.NoError(err)
		r.converted(encrypted, true)
	}
	r.say("Decrypt")
	r.NoError(registry.Decrypt(r.ctx, r.path, kek, opts...))
	if r.mode.encrypted() {
		plain, err := registry.Open(r.ctx, r.path, opts...)
		r.NoError(err)
		r.converted(plain, false)
		r.encrypt(kek)
	}
	r.open()
	r.through(r.handles[0]).compare()
	if r.mode.encrypted() {
		info, err := r.handles[0].KeysetInfo(r.ctx)
		r.NoError(err)
		r.EqualValues(1, info.Generation)
		r.NotEqual(r.keyset.Primary, info.Primary)
		r.keyset = info
	}
}

func (r *modelRun) encrypt(kek keyset.KEK) {
	r.say("Encrypt")
	report, err := registry.Encrypt(r.ctx, r.path, kek, r.options()...)
	r.NoError(err)
	r.Equal(registry.EncryptReport{Entries: int64(len(r.state.config))}, report)
}

// converted compares a registry that is in the other form than the mode's, and writes to it.
func (r *modelRun) converted(reg *registry.Registry, encrypted bool) {
	x := r.through(reg)
	x.encrypted = encrypted
	x.compare()
	for range 5 {
		x.write()
	}
	x.compare()
	r.NoError(reg.Close())
}
