package tinkv1

import (
	"debug/buildinfo"
	"reflect"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const (
	v1Path = "github.com/google/tink/go"
	v2Path = "github.com/tink-crypto/tink-go/v2"
)

// What the tests show is between two libraries: each process links one.
func (s *compatibilitySuite) TestEachProcessLinksOneTink() {
	// A test's own debug.BuildInfo does not list what it links, so the go command is asked, and then the process itself.
	modules := goCommand(s.T(), ".", "list", "-mod=readonly", "-deps", "-test",
		"-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", ".")
	s.Require().Contains(strings.Split(modules, "\n"), v1Path+" v1.7.0")
	s.Require().NotContains(modules, v2Path)

	messages := 0
	protoregistry.GlobalTypes.RangeMessages(func(m protoreflect.MessageType) bool {
		if strings.HasPrefix(string(m.Descriptor().FullName()), "google.crypto.tink.") {
			messages++
			s.Require().Contains(reflect.TypeOf(m.Zero().Interface()).Elem().PkgPath(), v1Path+"/")
		}
		return true
	})
	s.Require().Positive(messages)

	info, err := buildinfo.ReadFile(s.peer.path)
	s.Require().NoError(err)
	var linked []string
	for _, d := range info.Deps {
		linked = append(linked, d.Path)
	}
	s.Require().Contains(linked, v2Path)
	s.Require().NotContains(linked, v1Path)
}
