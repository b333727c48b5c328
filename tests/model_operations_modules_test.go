package tests

import (
	"github.com/oxide-k/stateregistry/registry"
)

func (x *modelCalls) upsertModule() row {
	meta, state, at := x.metadata(x.key()), pickOne(x.random, modelStates), x.tick()
	current := x.state.modules[meta.ID].Revision
	cond := x.condition(current)
	x.say("UpsertModule %.40q %s%s", meta.ID, state, cond.text)
	revision, err := x.to.UpsertModule(x.ctx, meta, state, cond.opts...)
	if !cond.met {
		x.meet("UpsertModule: conflict")
		x.refused(err, meta.ID, current)
		x.Zero(revision)
		return row{registry.SubjectModule, meta.ID}
	}
	x.NoError(err)
	x.Equal(x.state.putModule(meta, state, at), revision)
	return row{registry.SubjectModule, meta.ID}
}

func (x *modelCalls) setModuleState() row {
	id, state, at := heldKey(x.modelRun, x.state.modules), pickOne(x.random, modelStates), x.tick()
	current, exists := x.state.modules[id]
	cond := x.condition(current.Revision)
	x.say("SetModuleState %.40q %s%s", id, state, cond.text)
	revision, err := x.to.SetModuleState(x.ctx, id, state, cond.opts...)
	switch {
	case !exists:
		x.meet("SetModuleState: unknown")
		x.isTyped(err, registry.ErrUnknownModule)
		x.Zero(revision)
	case !cond.met:
		x.meet("SetModuleState: conflict")
		x.refused(err, id, current.Revision)
		x.Zero(revision)
	default:
		x.NoError(err)
		x.Equal(x.state.putModule(current.ModuleMetadata, state, at), revision)
	}
	return row{registry.SubjectModule, id}
}

func (x *modelCalls) transitionModule() row {
	id, at := heldKey(x.modelRun, x.state.modules), x.tick()
	from, to := pickOne(x.random, modelStates), pickOne(x.random, modelStates)
	current, exists := x.state.modules[id]
	if exists && x.chance(2) {
		from = current.State
	}
	x.say("TransitionModule %.40q from %s to %s", id, from, to)
	revision, err := x.to.TransitionModule(x.ctx, id, from, to)
	switch {
	case !exists:
		x.meet("TransitionModule: unknown")
		x.isTyped(err, registry.ErrUnknownModule)
		x.Zero(revision)
	case current.State != from:
		x.meet("TransitionModule: another state")
		x.refused(err, id, current.Revision)
		x.Zero(revision)
	default:
		x.NoError(err)
		x.Equal(x.state.putModule(current.ModuleMetadata, to, at), revision)
	}
	return row{registry.SubjectModule, id}
}

func (x *modelCalls) deleteModule() row {
	at := row{registry.SubjectModule, heldKey(x.modelRun, x.state.modules)}
	return x.deleteRow("DeleteModule", at, x.state.modules[at.key].Revision, x.to.DeleteModule, x.state.deleteModule)
}

// listModules lists with none, one or both of the filters.
func (x *modelCalls) listModules() {
	var filters []registry.ModuleFilter
	kind := pickOne(x.random, modelKinds)
	one, other := pickOne(x.random, modelStates), pickOne(x.random, modelStates)
	byKind, byState := x.chance(2), x.chance(2)
	if byKind {
		filters = append(filters, registry.ByKind(kind))
	}
	if byState {
		filters = append(filters, registry.ByState(one, other))
	}
	got, err := x.to.ListModules(x.ctx, filters...)
	x.NoError(err)
	x.Equal(x.state.listModules(func(m registry.ModuleRecord) bool {
		return (!byKind || m.Kind == kind) && (!byState || m.State == one || m.State == other)
	}), got)
}
