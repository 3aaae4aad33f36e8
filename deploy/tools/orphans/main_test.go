package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree writes a module with a program, its library and a test of that.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example\n\ngo 1.26.0\n",
		"main.go": "package main\n\nimport (\n\t\"fmt\"\n\t\"example/lib\"\n)\n\nfunc main() { fmt.Println(lib.Used(lib.List[int]{}.Len()), lib.Sorter(lib.Names{})) }\n",
		"lib/lib.go": `package lib

type List[T any] []T

func (l List[T]) Len() int { return len(l) }
func (l List[T]) Unused() {}

type Sorter interface{ Sort() }

type Names struct{}

func (Names) Sort() {}
func (Names) String() string { return "" }
func (Names) Forgotten() {}

func Used(n int) int { return n }
func OnlyTested() {}

const Lonely = 1

type Nobody struct{}
`,
		"lib/lib_test.go": "package lib\n\nimport \"testing\"\n\nfunc TestOnly(*testing.T) { OnlyTested(); Names{}.Forgotten() }\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOrphans(t *testing.T) {
	found, err := orphans(tree(t), []string{"./..."})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"example/lib.List.Unused", "example/lib.Lonely", "example/lib.Names.Forgotten", "example/lib.Nobody", "example/lib.OnlyTested"}
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if at := found["example/lib.OnlyTested"]; at != "lib/lib.go:17" {
		t.Errorf("OnlyTested is at %s", at)
	}
}

func TestWhatIsAllowed(t *testing.T) {
	dir := tree(t)
	allow, dead := filepath.Join(dir, "allow"), filepath.Join(dir, "dead")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(dead, "example/lib.unreached lib/lib.go:99\n")
	for _, tt := range []struct {
		name, allow string
		want        []string // lines begin with these
	}{
		{"everything", "# a comment\n\nexample/lib.* it is a test\n", nil},
		{"all but one", "example/lib.L* generic\nexample/lib.N* names\nexample/lib.OnlyTested for tests\n", []string{"lib/lib.go:99: example/lib.unreached"}},
		{"what is not there", "example/lib.* all\nexample/other.X gone\n", []string{allow + ": example/other.X fits nothing"}},
	} {
		write(allow, tt.allow)
		var out strings.Builder
		ok, err := run(&out, allow, dead, dir, []string{"./..."})
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.Collect(strings.Lines(out.String()))
		if ok != (len(tt.want) == 0) || len(lines) != len(tt.want) {
			t.Errorf("%s: %t\n%s", tt.name, ok, &out)
			continue
		}
		for i, want := range tt.want {
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s: got %s, want %s", tt.name, lines[i], want)
			}
		}
	}
	write(allow, "example/lib.Lonely\n")
	if _, err := run(new(strings.Builder), allow, "", dir, []string{"./..."}); err == nil {
		t.Error("a line without a reason is accepted")
	}
}
