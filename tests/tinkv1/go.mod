module github.com/oxide-k/stateregistry/tests/tinkv1

go 1.26.0

require (
	github.com/google/tink/go v1.7.0
	github.com/stretchr/testify v1.12.1
	google.golang.org/protobuf v1.36.11
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)
