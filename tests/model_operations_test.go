package tests

import (
	"context"

	"github.com/oxide-k/stateregistry/registry"
)

// modelAct is something done with a registry as a whole. Of so many acts as the weights add up to, each is done as often as
// its weight says.
type modelAct struct {
	name   string
	weight int
	do     func(*modelRun)
	files  bool // there is nothing of the kind in memory
}

// modelActs are what there is to do in a mode.
func modelActs(m mode) (acts []modelAct) {
	for _, act := range []modelAct{
		{name: "write", weight: 535, do: func(r *modelRun) { r.outside().write() }},
		{name: "read", weight: 280, do: func(r *modelRun) { r.outside().read() }},
		{name: "Update", weight: 100, do: func(r *modelRun) { r.update(r.handle()) }},
		{name: "View", weight: 60, do: func(r *modelRun) { r.view(r.handle()) }},
		{name: "RotateKeyset", weight: 3, do: (*modelRun).rotate},
		{name: "Rewrap", weight: 2, do: (*modelRun).rewrap},
		{name: "Rekey", weight: 2, do: (*modelRun).rekey},
		{name: "Backup", weight: 1, do: (*modelRun).backup},
		{name: "reopen", weight: 5, do: (*modelRun).reopen, files: true},
		{name: "second handle", weight: 6, do: (*modelRun).second, files: true},
		{name: "Restore", weight: 1, do: (*modelRun).restore, files: true},
		{name: "other openings", weight: 1, do: (*modelRun).otherOpenings, files: true},
		{name: "Encrypt and Decrypt", weight: 1, do: (*modelRun).convert, files: true},
	} {
		if !act.files || !m.memory {
			acts = append(acts, act)
		}
	}
	return acts
}

// modelCalls is where calls go, a registry or the transaction of a callback, and what the model says is there.
type modelCalls struct {
	*modelRun
	ctx       context.Context
	to        registry.Writer
	state     *modelState
	encrypted bool // in the file
	keyless   bool // and opened without its key
}

// modelRead reads something and compares it.
type modelRead struct {
	name   string
	weight int
	do     func(*modelCalls)
}

var modelReads = []modelRead{
	{"Get", 8, (*modelCalls).get},
	{"Get of a type", 4, (*modelCalls).getInt},
	{"TryGet", 4, (*modelCalls).tryGet},
	{"GetConfig", 4, (*modelCalls).getAny},
	{"GetConfigEntry", 6, func(x *modelCalls) { x.sameRow(row{registry.SubjectConfig, heldKey(x.modelRun, x.state.config)}) }},
	{"ListConfig", 6, (*modelCalls).listConfig},
	{"GetModule", 6, func(x *modelCalls) { x.sameRow(row{registry.SubjectModule, heldKey(x.modelRun, x.state.modules)}) }},
	{"ListModules", 5, (*modelCalls).listModules},
	{"Changes", 10, (*modelCalls).changes},
	{"Revision", 3, (*modelCalls).sameRevision},
	{"Watch", 4, (*modelCalls).watch},
	{"Setting.Get", 4, (*modelCalls).getSetting},
	{"SQL: query", 4, (*modelCalls).query},
}

// modelWrite writes something, to the model too, and returns a row that it wrote, or at least touched.
type modelWrite struct {
	name   string
	weight int
	do     func(*modelCalls) row
}

var modelWrites = []modelWrite{
	{"SetConfig", 40, (*modelCalls).setConfig},
	{"DeleteConfig", 14, (*modelCalls).deleteConfig},
	{"Modify", 10, (*modelCalls).modify},
	{"Modify of a type", 5, (*modelCalls).modifyInt},
	{"Setting.Set", 5, (*modelCalls).setSetting},
	{"Setting.Modify", 5, (*modelCalls).modifySetting},
	{"Setting.Delete", 2, (*modelCalls).deleteSetting},
	{"UpsertModule", 20, (*modelCalls).upsertModule},
	{"SetModuleState", 8, (*modelCalls).setModuleState},
	{"TransitionModule", 12, (*modelCalls).transitionModule},
	{"DeleteModule", 8, (*modelCalls).deleteModule},
	{"invalid", 10, (*modelCalls).invalid},
	{"SQL: update", 5, (*modelCalls).updateRows},
	{"SQL: delete", 2, (*modelCalls).deleteRows},
	{"SQL: insert", 3, (*modelCalls).insertRows},
	{"SQL: a subsystem's table", 2, (*modelCalls).insertAudited},
	{"SQL: refused", 2, (*modelCalls).refusedStatement},
}

// write does one of modelWrites.
func (x *modelCalls) write() {
	w := weighted(x.modelRun, modelWrites, func(w modelWrite) int { return w.weight })
	x.meet(w.name)
	touched := w.do(x)
	x.sameRow(touched)
	x.sameRevision()
}

// read does one of modelReads.
func (x *modelCalls) read() {
	r := weighted(x.modelRun, modelReads, func(r modelRead) int { return r.weight })
	x.meet(r.name)
	x.say("%s", r.name)
	r.do(x)
}

// weighted picks one from a table, each as likely as its weight says.
func weighted[T any](r *modelRun, table []T, weight func(T) int) T {
	total := 0
	for _, one := range table {
		total += weight(one)
	}
	at := r.random.IntN(total)
	for i := 0; ; i++ {
		if at -= weight(table[i]); at < 0 {
			return table[i]
		}
	}
}

// refused checks that a write was a conflict with what is there.
func (x *modelCalls) refused(err error, key string, current int64) {
	x.ErrorIs(err, registry.ErrConflict)
	var detail *registry.Error
	x.ErrorAs(err, &detail)
	x.Equal(current, detail.Revision)
	x.Equal(key, detail.Key)
}

// isTyped checks an error that is not a callback's own.
func (x *modelCalls) isTyped(err, want error) {
	x.ErrorIs(err, want)
	var detail *registry.Error
	x.ErrorAs(err, &detail)
}

// modelMustMeet is what a long run in a mode met, or it tested less than it says.
func modelMustMeet(m mode) []string {
	names := []string{
		"SetConfig: conflict", "SetConfig: created", "SetConfig: replaced", "DeleteConfig: conflict", "DeleteConfig: nothing",
		"UpsertModule: conflict", "SetModuleState: conflict", "SetModuleState: unknown", "DeleteModule: conflict",
		"DeleteModule: nothing", "TransitionModule: another state", "TransitionModule: unknown",
		"Modify: created", "Modify: failed", "Modify: not encoded", "Modify: panicked", "Modify: another type",
		"Get: another type", "Get: not found", "Changes: compacted", "Changes: ahead", "Changes: limited", "Changes: none",
		"Setting: the default", "Setting: does not fit", "Setting: not valid", "Watch: compacted", "Watch: some",
		"watching: followed", "Update: committed", "Update: failed", "Update: panicked", "Update: context ended", "View: failed",
	}
	if !m.memory {
		names = append(names, "View: a write meanwhile", "View: a rotation meanwhile", "second: opened", "second: closed",
			"watching: closed", "a handle with a cache")
	}
	for _, act := range modelActs(m) {
		names = append(names, act.name)
	}
	for _, read := range modelReads {
		names = append(names, read.name)
	}
	for _, write := range modelWrites {
		names = append(names, write.name)
	}
	return names
}
