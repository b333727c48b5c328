package tests

import (
	"context"

	"github.com/oxide-k/stateregistry/registry"
)

// update does several things in one Update, which then commits, or does not. Its transaction has a copy of the model, which
// is the model from then on where it commits.
func (r *modelRun) update(reg *registry.Registry) {
	draft := r.state.clone()
	fate := pickOne(r.random, []string{"committed", "committed", "committed", "failed", "panicked", "context ended"})
	r.meet("Update: " + fate)
	r.say("Update, to be %s", fate)
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	var over *registry.Tx
	update := func() error {
		return reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			defer r.within()()
			over = tx
			x := &modelCalls{modelRun: r, ctx: ctx, to: tx, state: draft, encrypted: r.mode.encrypted()}
			for range r.random.IntN(8) {
				if r.chance(3) {
					x.read()
				} else {
					x.write()
				}
				if !r.mode.memory && r.chance(5) {
					r.outside().read() // which sees nothing of it yet
				}
			}
			if r.chance(40) {
				x.compare()
			}
			_, err := reg.Revision(ctx)
			x.isTyped(err, registry.ErrNested)
			switch fate {
			case "failed":
				return errOwn
			case "panicked":
				panic(errOwn)
			case "context ended":
				cancel()
			}
			return nil
		})
	}
	switch fate {
	case "committed":
		r.NoError(update())
		r.state = draft
	case "failed":
		err := update()
		r.True(err == errOwn, "%v", err)
	case "panicked":
		r.PanicsWithValue(errOwn, func() { _ = update() })
	case "context ended":
		r.ErrorIs(update(), context.Canceled)
	}
	r.isOver(over)
}

// view reads several things in one View. In a file others write meanwhile, which it does not see. In memory they would wait
// for it.
func (r *modelRun) view(reg *registry.Registry) {
	snapshot := r.state.clone()
	fails := r.chance(5)
	r.say("View, to fail: %v", fails)
	var over *registry.Tx
	err := reg.View(r.ctx, func(ctx context.Context, tx *registry.Tx) error {
		defer r.within()()
		over = tx
		x := &modelCalls{modelRun: r, ctx: ctx, to: tx, state: snapshot, encrypted: r.mode.encrypted()}
		if r.chance(10) {
			x.compare()
		}
		for range r.random.IntN(6) {
			if !r.mode.memory {
				r.meanwhile()
			}
			x.read()
		}
		if r.chance(40) {
			x.compare()
		}
		_, err := tx.SetConfig(ctx, "a", 1)
		x.isTyped(err, registry.ErrReadOnly)
		_, err = reg.Revision(ctx)
		x.isTyped(err, registry.ErrNested)
		if fails {
			return errOwn
		}
		return nil
	})
	if fails {
		r.meet("View: failed")
		r.True(err == errOwn, "%v", err)
	} else {
		r.NoError(err)
	}
	r.isOver(over)
}

// meanwhile writes outside of a View that is open, or rotates.
func (r *modelRun) meanwhile() {
	switch {
	case r.chance(2):
		r.meet("View: a write meanwhile")
		r.outside().write()
	case r.chance(40):
		r.meet("View: a rotation meanwhile")
		r.rotate()
	}
}

// isOver checks that a transaction whose callback has returned does nothing more.
func (r *modelRun) isOver(tx *registry.Tx) {
	_, err := tx.SetConfig(r.ctx, "a", 1)
	r.ErrorIs(err, registry.ErrTxDone)
	_, err = tx.Revision(r.ctx)
	r.ErrorIs(err, registry.ErrTxDone)
}
