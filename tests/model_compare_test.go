package tests

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// compare compares everything through each handle.
func (r *modelRun) compare() {
	for _, reg := range r.handles {
		r.say("compare everything")
		r.through(reg).compare()
		r.sameKeyset(reg)
	}
}

// compare compares everything that there is. A registry is verified too.
func (x *modelCalls) compare() {
	oldest := x.state.oldest()
	x.sameRows(oldest - 1)
	if oldest > 1 {
		x.sameChanges(oldest-2, math.MaxInt)
	}
	for _, key := range modelKeys { // those that are missing too
		x.sameRow(row{registry.SubjectConfig, key})
		x.sameRow(row{registry.SubjectModule, key})
	}
	reg, ok := x.to.(*registry.Registry)
	if !ok {
		return
	}
	report, err := reg.Verify(x.ctx)
	x.NoError(err, "%v", report.Problems)
	x.Equal(registry.VerifyReport{
		Modules: int64(len(x.state.modules)), Config: int64(len(x.state.config)), Changes: int64(len(x.state.log)),
	}, report)
}

// sameRows compares the tables, and the log after a revision.
func (x *modelCalls) sameRows(after int64) {
	x.sameRevision()
	x.sameConfig("")
	modules, err := x.to.ListModules(x.ctx)
	x.NoError(err)
	x.Equal(x.state.listModules(func(registry.ModuleRecord) bool { return true }), modules)
	x.sameChanges(after, math.MaxInt)
}

func (x *modelCalls) sameRevision() {
	revision, err := x.to.Revision(x.ctx)
	x.NoError(err)
	x.Equal(x.state.revision, revision)
}

// sameConfig compares the entries with a prefix.
func (x *modelCalls) sameConfig(prefix string) {
	entries, err := x.to.ListConfig(x.ctx, prefix)
	x.NoError(err)
	keys := make([]string, len(entries))
	for i, e := range entries {
		keys[i] = e.Key
	}
	want := x.state.keys(prefix)
	x.True(slices.Equal(want, keys), "with prefix %.40q: want %.40q, got %.40q", prefix, want, keys)
	for _, e := range entries {
		x.sameEntry(e.Key, e)
	}
}

// sameRow compares a row; one without a subject is none.
func (x *modelCalls) sameRow(at row) {
	switch at.subject {
	case registry.SubjectConfig:
		entry, err := x.to.GetConfigEntry(x.ctx, at.key)
		if _, exists := x.state.config[at.key]; !exists {
			x.isTyped(err, registry.ErrConfigNotFound)
			return
		}
		x.NoError(err)
		x.sameEntry(at.key, entry)
	case registry.SubjectModule:
		record, err := x.to.GetModule(x.ctx, at.key)
		want, exists := x.state.modules[at.key]
		if !exists {
			x.isTyped(err, registry.ErrUnknownModule)
			return
		}
		x.NoError(err)
		x.Equal(want, record)
	}
}

func (x *modelCalls) sameEntry(key string, got registry.ConfigEntry) {
	want := x.state.config[key]
	x.Equal(key, got.Key)
	x.Equal(want.revision, got.Revision, "%q", key)
	x.Equal(want.at, got.UpdatedAt, "%q", key)
	x.Equal(x.encrypted, got.Encrypted, "%q", key)
	var value json.RawMessage
	err := got.Decode(&value)
	if x.keyless {
		x.isTyped(err, registry.ErrEncrypted)
		return
	}
	x.NoError(err, "%q", key)
	x.Equal(want.value, string(value), "%q", key)
}

// sameChanges compares what the log has after a revision.
func (x *modelCalls) sameChanges(after int64, limit int) {
	got, err := x.to.Changes(x.ctx, after, limit)
	want, ok := x.state.changes(after, limit)
	switch {
	case after > x.state.revision:
		x.meet("Changes: ahead")
	case !ok:
		x.meet("Changes: compacted")
	case len(want) == 0:
		x.meet("Changes: none")
	case len(want) == limit:
		x.meet("Changes: limited")
	}
	if !ok {
		x.isTyped(err, registry.ErrCompacted)
		x.Nil(got)
		return
	}
	x.NoError(err, "after %d", after)
	x.Len(got, len(want), "after %d", after)
	for i := range got {
		if want[i].Op == registry.OpDelete {
			x.Less(time.Since(got[i].At).Abs(), time.Hour) // by SQLite's clock
			got[i].At = time.Time{}
		}
		x.Equal(want[i], got[i])
	}
}
