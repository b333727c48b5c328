module github.com/oxide-k/stateregistry/examples/decisionlog

go 1.26.0

require (
	github.com/mattn/go-sqlite3 v1.14.53
	github.com/oxide-k/stateregistry v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	github.com/tink-crypto/tink-go/v2 v2.9.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

replace github.com/oxide-k/stateregistry => ../..
