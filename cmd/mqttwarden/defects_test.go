package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Every defect of mochi that the documents list has a test that bears its number,
// and every such test has its line.
func TestEveryDefectHasATest(t *testing.T) {
	page, err := os.ReadFile("../../deploy/docs/defects.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^\| (V\d\d) \|`).FindAllSubmatch(page, -1) {
		listed[string(m[1])] = true
	}
	if len(listed) < 24 {
		t.Fatalf("%d defects are listed", len(listed))
	}
	tested := make(map[string]bool)
	for _, folder := range []string{"../../broker", "../../authhook", "e2e/hostile"} {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name) // #nosec G304 -- ours
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func Test(V\d\d)`).FindAllSubmatch(text, -1) {
				tested[string(m[1])] = true
			}
		}
	}
	for v := range listed {
		if !tested[v] {
			t.Errorf("%s has no test", v)
		}
	}
	for v := range tested {
		if !listed[v] {
			t.Errorf("%s has a test and is not listed", v)
		}
	}
}
