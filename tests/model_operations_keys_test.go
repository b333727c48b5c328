package tests

import (
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// rotate replaces the keys. Whoever has the file open follows; no revision comes of it.
func (r *modelRun) rotate() {
	reg := r.handle()
	var opts []registry.RotateOption
	if r.chance(2) {
		opts = append(opts, registry.RotateTo(pickOne(r.random, []keyset.Template{
			keyset.XChaCha20Poly1305, keyset.XAES256GCM, keyset.AES256GCM,
		})))
	}
	r.say("RotateKeyset")
	report, err := reg.RotateKeyset(r.ctx, opts...)
	if !r.mode.encrypted() {
		r.isTyped(err, registry.ErrNotEncrypted)
		return
	}
	r.NoError(err)
	info, err := reg.KeysetInfo(r.ctx)
	r.NoError(err)
	r.NotEqual(r.keyset.Primary, info.Primary)
	r.Equal(registry.RotateReport{
		Generation: r.keyset.Generation + 2, Primary: info.Primary, Reencrypted: int64(len(r.state.config)),
		Retired: []uint32{r.keyset.Primary},
	}, report)
	r.keyset.Generation, r.keyset.Primary, r.keyset.Keys = report.Generation, report.Primary, info.Keys
	r.sameKeyset(reg)
	for _, other := range r.handles {
		if other != reg {
			r.follow(other)
		}
	}
}

// follow uses a handle that knows nothing yet of a rotation through another.
func (r *modelRun) follow(reg *registry.Registry) {
	switch r.random.IntN(6) {
	case 0:
		r.through(reg).write()
	case 1:
		r.through(reg).read()
	case 2:
		r.update(reg)
	default: // whose snapshot may have keys that the handle does not have yet
		r.view(reg)
	}
}

// rewrap wraps the keyset anew. Another handle goes on with what it has, but changes the keyset no more, and is closed:
// the next rotation would leave it behind.
func (r *modelRun) rewrap() {
	at := r.random.IntN(len(r.handles))
	reg := r.handles[at]
	if !r.mode.encrypted() {
		r.say("Rewrap, of nothing")
		r.isTyped(reg.Rewrap(r.ctx, kekOf(9)), registry.ErrNotEncrypted)
		return
	}
	for _, each := range r.handles {
		r.sameKeyset(each) // who missed a rotation before it is out at once
	}
	former := r.keks[r.kek]
	r.kek = (r.kek + 1 + r.random.IntN(len(r.keks)-1)) % len(r.keks)
	r.say("Rewrap with KEK %d", r.kek)
	r.NoError(reg.Rewrap(r.ctx, r.keks[r.kek]))
	info, err := reg.KeysetInfo(r.ctx)
	r.NoError(err)
	r.keyset.Generation++
	r.keyset.KEK, r.keyset.KEKParams = r.keks[r.kek].Kind(), info.KEKParams
	r.through(reg).sameRows(r.state.revision)
	if !r.mode.memory {
		_, err = registry.OpenEncrypted(r.ctx, r.path, former, r.options()...)
		r.isTyped(err, registry.ErrWrongKey)
	}
	if len(r.handles) > 1 {
		other := r.through(r.handles[1-at])
		other.read()
		other.write()
		_, err := r.handles[1-at].RotateKeyset(r.ctx)
		r.isTyped(err, registry.ErrWrongKey)
		r.close(1 - at)
	}
	r.sameKeyset(reg)
}

// rekey gives the registry a fresh keyset under another KEK. Other handles are out.
func (r *modelRun) rekey() {
	at := r.random.IntN(len(r.handles))
	reg := r.handles[at]
	if !r.mode.encrypted() {
		r.say("Rekey, of nothing")
		_, err := reg.Rekey(r.ctx, kekOf(9))
		r.isTyped(err, registry.ErrNotEncrypted)
		return
	}
	for _, each := range r.handles {
		r.sameKeyset(each) // who missed a rotation before it is out at once
	}
	former := r.keks[r.kek]
	_, err := reg.Rekey(r.ctx, former)
	r.isTyped(err, registry.ErrInvalid)
	r.kek = (r.kek + 1 + r.random.IntN(len(r.keks)-1)) % len(r.keks)
	r.say("Rekey with KEK %d", r.kek)
	report, err := reg.Rekey(r.ctx, r.keks[r.kek], registry.RekeyTo(r.keyset.Keys[0].Template))
	r.NoError(err)
	info, err := reg.KeysetInfo(r.ctx)
	r.NoError(err)
	r.NotEqual(r.keyset.Primary, info.Primary)
	r.Equal(registry.RekeyReport{
		Generation: r.keyset.Generation + 1, Primary: info.Primary, Entries: int64(len(r.state.config)), Scrubbed: report.Scrubbed,
	}, report)
	r.Len(info.Keys, 1)
	r.Equal(r.keyset.Keys[0].Template, info.Keys[0].Template)
	r.keyset = info
	r.through(reg).sameRows(r.state.revision)
	if !r.mode.memory {
		_, err = registry.OpenEncrypted(r.ctx, r.path, former, r.options()...)
		r.isTyped(err, registry.ErrWrongKey)
	}
	if len(r.handles) > 1 {
		_, err := r.handles[1-at].SetConfig(r.ctx, "former", 1)
		r.isTyped(err, registry.ErrWrongKey)
		r.close(1 - at)
	}
	r.sameKeyset(reg)
}

// sameKeyset compares what may be known of the keyset: it has one key.
func (r *modelRun) sameKeyset(reg *registry.Registry) {
	info, err := reg.KeysetInfo(r.ctx)
	if !r.mode.encrypted() {
		r.isTyped(err, registry.ErrNotEncrypted)
		return
	}
	r.NoError(err)
	r.Equal(r.keyset, info)
	r.Len(info.Keys, 1)
	r.Equal(info.Primary, info.Keys[0].ID)
}
