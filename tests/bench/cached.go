package main

import "github.com/oxide-k/stateregistry/registry"

// cached are the options of a registry with a read cache, large enough for all that the jobs read from it.
func cached() []registry.Option { return []registry.Option{registry.WithReadCache(64 << 20)} }
