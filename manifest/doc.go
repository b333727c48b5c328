// Package manifest reads and writes module.json, the file by which a kernel discovers a module that oxide-gen generated.
//
//	m, err := manifest.Read("modules/petstore") // a folder with a module.json, or the file
//	if err != nil { … }
//	rev, err := reg.UpsertModule(ctx, m.Metadata(), registry.StateLoaded)
//	paths, err := m.Paths("modules/petstore") // where its files are
//
// The format is the public oxide-k project's: crates/oxide-gen/src/emit/manifest.rs writes it, crates/oxide-k/src/manifest.rs
// reads it. A manifest is one JSON object in UTF-8. id, name, version and kind must be there; the others may be absent or
// null. Names of fields are compared to the letter. A newer generator may add some: unknown ones are kept in
// [Manifest].Extra, and written again. No name may be there twice.
package manifest
