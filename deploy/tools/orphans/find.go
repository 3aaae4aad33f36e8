package main

import (
	"fmt"
	"go/types"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// orphans returns where each thing is declared that the packages export and do not
// refer to, by its name.
func orphans(dir string, patterns []string) (map[string]string, error) {
	pkgs, err := packages.Load(&packages.Config{Dir: dir, Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports |
		packages.NeedDeps | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo}, patterns...)
	if err != nil {
		return nil, err
	}
	used := make(map[types.Object]bool)
	for _, p := range pkgs {
		if len(p.Errors) > 0 {
			return nil, p.Errors[0]
		}
		for _, o := range p.TypesInfo.Uses {
			used[origin(o)] = true
		}
	}
	ours := methods(pkgs...)
	found := make(map[string]string)
	for _, p := range pkgs {
		wanted := ours
		for _, imported := range p.Imports {
			wanted = slices.Concat(wanted, methods(imported))
		}
		for _, o := range exported(p.Types.Scope()) {
			if !used[o] && !answers(o, wanted) {
				at := p.Fset.Position(o.Pos())
				found[p.PkgPath+"."+name(o)] = fmt.Sprintf("%s:%d", relative(dir, at.Filename), at.Line)
			}
		}
	}
	return found, nil
}

// exported returns what a package exports, with the methods of its types.
func exported(scope *types.Scope) []types.Object {
	var all []types.Object
	for _, n := range scope.Names() {
		o := scope.Lookup(n)
		if o.Exported() {
			all = append(all, o)
		}
		if named, ok := o.Type().(*types.Named); ok && named.Obj() == o && !types.IsInterface(named) {
			for m := range named.Methods() {
				if m.Exported() {
					all = append(all, m)
				}
			}
		}
	}
	return all
}

// methods returns the methods of the interfaces that packages declare.
func methods(pkgs ...*packages.Package) []*types.Func {
	var all []*types.Func
	for _, p := range pkgs {
		for _, n := range p.Types.Scope().Names() {
			t, ok := p.Types.Scope().Lookup(n).(*types.TypeName)
			if !ok {
				continue
			}
			if i, ok := t.Type().Underlying().(*types.Interface); ok {
				all = slices.AppendSeq(all, i.Methods())
			}
		}
	}
	return all
}

// called are methods that are called by their names, whatever interface a package
// knows.
var called = []string{
	"Error", "String", "GoString", "Format", "Is", "As", "Unwrap", "LogValue",
	"MarshalText", "UnmarshalText", "MarshalJSON", "UnmarshalJSON",
}

// answers reports whether o is a method that is there for an interface.
func answers(o types.Object, wanted []*types.Func) bool {
	m, ok := o.(*types.Func)
	if !ok || m.Signature().Recv() == nil {
		return false
	}
	return slices.Contains(called, m.Name()) || slices.ContainsFunc(wanted, func(w *types.Func) bool {
		return w.Name() == m.Name() && types.Identical(w.Signature(), m.Signature())
	})
}

// origin returns what an instance of something generic was made of.
func origin(o types.Object) types.Object {
	if f, ok := o.(*types.Func); ok {
		return f.Origin()
	}
	return o
}

// name returns how something is called within its package, as deadcode has it.
func name(o types.Object) string {
	m, ok := o.(*types.Func)
	if !ok || m.Signature().Recv() == nil {
		return o.Name()
	}
	recv := types.TypeString(m.Signature().Recv().Type(), func(*types.Package) string { return "" })
	recv, _, _ = strings.Cut(strings.TrimPrefix(recv, "*"), "[")
	return recv + "." + o.Name()
}

// relative returns a path as one sees it from a directory.
func relative(dir, file string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		if rel, err := filepath.Rel(abs, file); err == nil {
			return rel
		}
	}
	return file
}
