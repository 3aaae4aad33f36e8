package settings

import (
	"fmt"
	"strings"
	"testing"
)

// one reads a file that gives one setting, k.
func one(t *testing.T, file string) (text string, given bool) {
	t.Helper()
	f, err := readYAML([]byte(file))
	if err != nil || len(f.problems) > 0 {
		t.Fatalf("%q: %v, %v", file, err, f.problems)
	}
	e, given := f.entries["k"]
	return e.text, given && !e.none
}

// A value without quotes is what is written, whatever YAML would take it for.
func TestPlainValuesAreLiteral(t *testing.T) {
	for _, text := range []string{
		"01234567", "0777", "08", "007", "12345678901234567890123", "1_000_000", "1__0", "+5", "-0", "-17", "1_",
		"0x1F2E3D", "0XFF", "0o17", "0b1011", "20182018.", "1.50", ".5", "1e3", "12e03", "1e400", "6.02E+23",
		".inf", "-.INF", ".nan", ".NaN", "1:30", "190:20:30",
		"true", "True", "False", "FALSE", "yes", "No", "on", "Off", "y", "n",
		"null", "Null", "NULL", "null x", "~", "~x", "x~", "~/x",
		"2018-01-02", "2018-01-02T10:00:00Z", "2018-01-02 10:00:00 +01:00",
		"a#b", "#b"[1:], "x#", "a:b", "a: "[:2] + "b", ":x", "-x", "?x", "a  b", "a, b", "a]b", "a}b", "a'b\"c", `a\nb`, `\x41`, "$x", "${X}", "<x>", "=", "p@ss:w0rd#1", "é", "\u00a0x", "日本", "😀",
		"a---b", "--x", "100%", "a&b", "a*b", "a!b", "a|b", "a>b", "a@b", "a`b",
	} {
		for _, file := range []string{"k: " + text, "k: " + text + "\n", "k:\t" + text + " \t# a comment\n", "k:\n  " + text + "\n", "\ufeffk: " + text + "\r\nz: 1\r\n", "---\nk: " + text + "\n...\n", "%YAML 1.2\n---\nk: " + text + "\n"} {
			if got, given := one(t, file); got != text || !given {
				t.Errorf("%q: got %q, %t", file, got, given)
			}
		}
	}
}

func TestValuesInQuotesAndBlocks(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"single quotes", `'01'`, "01"},
		{"single quotes know no escape but ''", `'it''s \n'`, `it's \n`},
		{"single quotes keep spaces", `'  x '`, "  x "},
		{"single quotes keep a tab", "'a\tb'", "a\tb"},
		{"nothing in single quotes", `''`, ""},
		{"a comment sign in quotes", `'a # b'`, "a # b"},
		{"signs of YAML in quotes", `"&a *b !c @d %e [f] {g}"`, "&a *b !c @d %e [f] {g}"},
		{"a word for nothing in quotes", `"~"`, "~"},
		{"double quotes", `"01"`, "01"},
		{"double quotes with escapes", `"a\tb\n\x41\u00e9\U0001F600\\\"\/"`, "a\tb\nAé😀\\\"/"},
		{"double quotes with seldom escapes", `"\0\a\b\e\f\v\N\_\L\P\ "`, "\x00\a\b\x1b\f\v\u0085\u00a0\u2028\u2029 "},
		{"lines in quotes become one", "'a\n  b'", "a b"},
		{"an empty line in quotes stays", "\"a\n\n  b\"", "a\nb"},
		{"spaces around the ends of lines in quotes go", "'a \t\n  \tb\n \n\n  '''' c \n'", "a b\n\n'' c "},
		{"escaped spaces at the end of a line stay", "\"a\\ \n b\\\t\n\"", "a  b\t "},
		{"an escaped end of line in double quotes vanishes", "\"a\\\n   b\"", "ab"},
		{"lines without quotes become one", "a\n  b\n  c", "a b c"},
		{"a block keeps its lines", "|\n  a\n   b\n", "a\n b\n"},
		{"a block without the last end of line", "|-\n  a # b\n", "a # b"},
		{"a block with all ends of lines", "|+\n  a\n\n", "a\n\n"},
		{"a block with an indentation", "|2\n    a\n", "  a\n"},
		{"a folded block", ">\n  a\n  b\n\n  c\n", "a b\nc\n"},
		{"a folded block without the last end of line", ">-\n  a\n  b\n", "a b"},
		{"a block with spaces at the ends of its lines", "|-\n  a \n  b\t", "a \nb\t"},
		{"a block with tabs", "|-\n  a\tb\n  \tc\t\n", "a\tb\n\tc\t"},
		{"a block without text", "|\nz: 1\n", ""},
		{"a folded block with lines that are further in", ">\n  a\n  b\n   c\n\n  d\n\n\n  e\n", "a b\n c\n\nd\n\ne\n"},
		{"a block at the end of the file", "|\n  a\n  b", "a\nb"},
		{"a block with all ends of lines at the end of the file", "|+\n  a", "a"},
		{"a folded block at the end of the file", ">\n  a\n  b", "a b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := "k: " + tt.value
			for _, file := range []string{file, strings.ReplaceAll(file, "\n", "\r\n")} {
				if got, _ := one(t, file); got != tt.want {
					t.Errorf("%q: got %q, want %q", file, got, tt.want)
				}
			}
		})
	}
}

func TestNothingGiven(t *testing.T) {
	for _, file := range []string{"", "\n", "# a comment\n", "---\n", "---\n...\n", "k:\n", "k: # a comment\n", "k: {}\n", "z: 1\n", "\ufeff"} {
		if got, given := one(t, file); given {
			t.Errorf("%q gives %q", file, got)
		}
	}
}

func TestSectionsAndLists(t *testing.T) {
	f, err := readYAML([]byte("limits:\n  packet: 1\n  client:\n    id: 0x17\n\"flat-name\": {x: y}\nlist: [a, 'b c', 01, null, ~]\nempty: []\nlong:\n- True\n- ::1\n1: one\n"))
	if err != nil || len(f.problems) > 0 {
		t.Fatal(err, f.problems)
	}
	want := map[string]entry{
		"limits-packet": {"1", false, false, position{2, 3}}, "limits-client-id": {"0x17", false, false, position{4, 5}},
		"flat-name-x": {"y", false, false, position{5, 15}}, "list": {"a,b c,01,null,~", true, false, position{6, 1}},
		"empty": {"", true, false, position{7, 1}}, "long": {"True,::1", true, false, position{8, 1}}, "1": {"one", false, false, position{11, 1}},
	}
	for name, e := range want {
		if f.entries[name] != e {
			t.Errorf("%s: got %v, want %v", name, f.entries[name], e)
		}
	}
	if len(f.entries) != len(want) {
		t.Errorf("got %d entries, want %d", len(f.entries), len(want))
	}
}

func TestWhatIsNotTaken(t *testing.T) {
	const secret = "hunter22"
	for _, tt := range []struct{ name, file, want string }{
		{"an anchor", "x: 1\nk: &hunter22 x\n", "[2:4] a value may not begin with &"},
		{"an alias", "k: *hunter22\n", "[1:4] a value may not begin with &, * or !"},
		{"a tag", "k: !hunter22\n", "[1:4] a value may not begin with"},
		{"a tag of YAML's own", "k: !!str hunter22\n", "[1:4] a value may not begin with"},
		{"an alias in a list", "k: [a, *hunter22]\n", "[1:8] a value may not begin with"},
		{"an anchor at a section", "k: &hunter22\n  a: 1\n", "[1:4] a value may not begin with"},
		{"a merge key", "<<: {a: hunter22}\n", "[1:1] the name of a setting must be plain text"},
		{"an anchor at a name", "&hunter22 k: 1\n", "[1:1] the name of a setting"},
		{"a tag at a name", "!!str k: hunter22\n", "[1:1] the name of a setting"},
		{"a question mark at a name", "? k\n: hunter22\n", "[1:1] the name of a setting"},
		{"a list in a list", "k: [[hunter22]]\n", "[1:5] an item of a list must be text"},
		{"a section in a list", "k: [a: hunter22]\n", "[1:5] an item of a list must be text"},
		{"nothing in a list", "k:\n- a\n-\n", "[3:3] an item of a list must be text"},
		{"a tab in a value", "k: hunter\t22\n", "[1:4] a value with a tab in it must be in quotes"},
		{"a tab in a number", "k: 1\t2\n", "[1:4] a value with a tab in it must be in quotes"},
		{"a tab on the second line of a value", "k: hunter\n  \t22\n", "[1:4] a value with a tab in it must be in quotes"},

		{"a name twice", "k: hunter22\nk: hunter22\n", `[2:1] mapping key "k" already defined at [1:1]`},
		{"a name twice, once in quotes", "k: hunter22\n\"k\": 2\n", `[2:1] mapping key "k" already defined at [1:1]`},
		{"a name twice in a section", "l:\n  a: 1\n  a: 2\n", `[3:3] mapping key "a" already defined at [2:3]`},
		{"a name twice, once in a section", "l-a: hunter22\nl:\n  a: 2\n", `[3:3] setting "l-a" is given twice, first at [1:1]`},
		{"a name twice, in sections of two depths", "l:\n  a-b: hunter22\n  a:\n    b: 2\n", `[4:5] setting "l-a-b" is given twice, first at [2:3]`},
		{"a name twice, once in braces", "l-a: hunter22\nl: {a: 2}\n", `[2:5] setting "l-a" is given twice, first at [1:1]`},

		{"a second document", "k: 1\n---\nz: hunter22\n", "[3:1] a second document begins here"},
		{"a list", "- hunter22\n", "[1:1] must hold settings"},
		{"text", "hunter22\n", "[1:1] must hold settings"},
		{"no space behind the colon", "k:hunter22\n", "[1:1] must hold settings"},
		{"a tab as indentation", "l:\n\ta: hunter22\n", "[2:1] found character TAB that cannot start any token"},
		{"a tab before a name", "\tk: hunter22\n", "[1:2] tab character cannot"},
		{"a tab as indentation of a block", "k: |\n\thunter22\n", "[2:1] found a tab character where an indentation space is expected"},
		{"less indentation", "  k: 1\n z: hunter22\n", "[2:2]"},
		{"a colon in a value", "k: hunter: 22\n", "[1:4] mapping value is not allowed in this context"},
		{"quotes that do not end", "k: 'hunter22\n", "[1:4] could not find end character of single-quoted text"},
		{"text behind quotes", "k: 'hunter'22\n", "[1:12]"},
		{"an unknown escape", "k: \"hunter\\q22\"\n", "[1:12] found unknown escape character"},
		{"a list that does not end", "k: [hunter22\n", "[1:4] sequence end token ']' not found"},
		{"a sign that YAML keeps", "k: @hunter22\n", "[1:4] '@' is a reserved character"},
		{"a percent sign at the start", "k: %hunter22\n", "[1:4]"},

		{"UTF-16", "\xff\xfek\x00:\x00", "[1:1] is not in UTF-8"},
		{"Latin-1", "z: 1\nk: caf\xe9 hunter22\n", "[2:7] is not in UTF-8"},
		{"a NUL", "k: hunter\x0022\n", "[1:10] must not hold the control character U+0000"},
		{"a bell", "é: 1\nk: é\ahunter22\n", "[2:5] must not hold the control character U+0007"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := readYAML([]byte(tt.file))
			told := f.problems
			if err != nil {
				told = append(told, err)
			}
			if len(told) != 1 || !strings.Contains(told[0].Error(), tt.want) {
				t.Errorf("%q: told %v, want %q", tt.file, told, tt.want)
			}
			for _, err := range told {
				if strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), secret) {
					t.Errorf("a value is told: %v", err)
				}
			}
		})
	}
}

// TestPlainValuesAreLiteralWhereverTheyStand: in a section, in a list, in braces.
func TestPlainValuesAreLiteralWhereverTheyStand(t *testing.T) {
	for _, text := range []string{
		"False", "~", "null", "yes", ".5", "0o17", "1_000", "2018-01-02", "2018-01-02T10:00:00Z", "2018-01-02 10:00:00",
		"01234567", "0x1F2E3D", "20182018.", "1:30", "1e3", "-0", ".inf", "0b1_0", "+0o17", "0_1",
	} {
		for _, tt := range []struct{ file, name, want string }{
			{"s:\n  x: " + text + "\n", "s-x", text},
			{"s: {x: " + text + "}\n", "s-x", text},
			{"s: {x: " + text + ", y: 1}\n", "s-x", text},
			{"{k: " + text + "}\n", "k", text},
			{"k: [" + text + "]\n", "k", text},
			{"k: [a, " + text + ",b]\n", "k", "a," + text + ",b"},
			{"k:\n- " + text + " # a comment\n- b\n", "k", text + ",b"},
		} {
			f, err := readYAML([]byte(tt.file))
			if e := f.entries[tt.name]; err != nil || len(f.problems) > 0 || e.text != tt.want || e.none {
				t.Errorf("%q: got %v, %v, %v", tt.file, f.entries, err, f.problems)
			}
		}
	}
}

// FuzzValuesComeBack writes any text into quotes and reads it.
func FuzzValuesComeBack(f *testing.F) {
	for _, text := range []string{"", "01", "it's", "\"", "\\", " a  b ", "a # b", "a: b", "é", "日本", "😀", "'", "''", "\t", "a\nb"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if plain, err := plainText([]byte(text)); err != nil || plain != text {
			return // not for a file
		}
		var escaped strings.Builder
		for _, r := range text {
			fmt.Fprintf(&escaped, `\U%08x`, r)
		}
		files := []string{"a: 1\nk: \"" + escaped.String() + "\"\nz: 2\n"}
		if !strings.ContainsAny(text, "\t\n") {
			files = append(files, "a: 1\nk: '"+strings.ReplaceAll(text, "'", "''")+"' # c\nz: 2\n",
				"a: 1\nk: \""+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)+"\"\nz: 2\n",
				"a: 1\nk:\n  - '"+strings.ReplaceAll(text, "'", "''")+"'\nz: 2\n")
		}
		for _, file := range files {
			if got, given := one(t, file); got != text || !given {
				t.Errorf("%q: got %q, %t, want %q", file, got, given, text)
			}
		}
	})
}

// FuzzAnyFile reads anything: it must be told or understood, and end.
func FuzzAnyFile(f *testing.F) {
	for _, file := range []string{"k: |2-\n   a\n\n  b\n", "k: \"a\\\n \tb\"\nz: 'x'\n", "k: >+\n", "a: {b: [c]}\n", "k: \"n\t \"\n\nz: >2-\n  t\n"} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(_ *testing.T, file []byte) { _, _ = readYAML(file) })
}
