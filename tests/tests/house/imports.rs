//! The imports between the files of a crate, read from their text.
//!
//! The test follows paths that begin with `crate`, `super`, `self` or a child module, in `use` lines and in code, to
//! the file that defines the name: a re-exported name counts for its origin. It ignores tests, paths inside macros, and
//! a module's arrows to its own children, which it must name to declare them.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

/// A module's place in its crate: `["http", "ecs"]`; empty for the root.
pub(crate) type Place = Vec<String>;

/// The place of a file, given its path below `src/`; none for tests and for the roots of programs.
pub(crate) fn place(path: &str) -> Option<Place> {
    let mut place: Place = path.strip_suffix(".rs")?.split('/').map(str::to_owned).collect();
    if place.iter().any(|part| part == "tests") || place.first().is_some_and(|part| part == "bin") {
        return None;
    }
    match place.last()?.as_str() {
        "main" if place.len() == 1 => return None,
        "lib" if place.len() == 1 => {
            place.pop();
        }
        "mod" => {
            place.pop();
        }
        _ => {}
    }
    Some(place)
}

/// What one file says of others.
#[derive(Debug, Default)]
struct Module {
    /// Each path with the (inline) module in which it stands.
    paths: Vec<(Place, Vec<String>)>,
    /// Names that it re-exports, and the paths that they stand for.
    exports: BTreeMap<String, Vec<String>>,
}

/// A crate's files and what they import.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    modules: BTreeMap<Place, Module>,
}

impl Imports {
    /// Takes in one file: its path below `src/`, and its text.
    pub(crate) fn add(&mut self, path: &str, text: &str) -> Result<(), syn::Error> {
        let Some(place) = place(path) else { return Ok(()) };
        let mut reader = Reader { here: place.clone(), found: Module::default() };
        reader.visit_file(&syn::parse_file(text)?);
        self.modules.insert(place, reader.found);
        Ok(())
    }

    /// The file that defines what a path in `here` names; nothing for what lies in another crate.
    fn target(&self, here: &[String], path: &[String], depth: usize) -> Option<Place> {
        let (first, mut rest) = path.split_first()?;
        let mut place = match first.as_str() {
            "crate" => Place::new(),
            "self" => here.to_vec(),
            "super" => parent(here),
            child => {
                let place = join(here, child);
                if !self.modules.contains_key(&place) {
                    return None;
                }
                place
            }
        };
        while let Some((_, after)) = rest.split_first().filter(|(first, _)| *first == "super") {
            (place, rest) = (parent(&place), after);
        }
        while let Some((first, after)) = rest.split_first() {
            let child = join(&place, first);
            if self.modules.contains_key(&child) {
                (place, rest) = (child, after);
                continue;
            }
            // A re-export: on to where the name comes from.
            let export = self.modules.get(&place).and_then(|module| module.exports.get(first));
            if let Some(export) = export.filter(|_| depth < 8) {
                let path: Vec<String> = export.iter().chain(after).cloned().collect();
                return self.target(&place, &path, depth + 1).or(Some(place));
            }
            break;
        }
        // An inline module lies in the file around it.
        while !self.modules.contains_key(&place) {
            place.pop()?;
        }
        Some(place)
    }

    /// Which file imports which.
    pub(crate) fn arrows(&self) -> BTreeMap<&Place, BTreeSet<&Place>> {
        let mut arrows: BTreeMap<&Place, BTreeSet<&Place>> = BTreeMap::new();
        for (from, module) in &self.modules {
            let to = arrows.entry(from).or_default();
            for (here, path) in &module.paths {
                let target = self.target(here, path, 0);
                let Some((target, _)) = target.and_then(|target| self.modules.get_key_value(&target)) else {
                    continue;
                };
                let own_child = target.starts_with(from);
                if target != from && !own_child {
                    to.insert(target);
                }
            }
        }
        arrows
    }

    /// The shortest loop through each knot of files that import each other, as names from `a` over the others.
    pub(crate) fn loops(&self) -> Vec<Vec<String>> {
        let arrows = self.arrows();
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        for start in arrows.keys() {
            if seen.contains(start) {
                continue;
            }
            if let Some(path) = shortest_loop(&arrows, start) {
                seen.extend(path.iter().copied());
                found.push(path.into_iter().map(name).collect());
            }
        }
        found
    }
}

/// A module's name as a person writes it.
pub(crate) fn name(place: &Place) -> String {
    if place.is_empty() { "the root".to_owned() } else { place.join("::") }
}

fn parent(place: &[String]) -> Place {
    place.split_last().map(|(_, parent)| parent.to_vec()).unwrap_or_default()
}

fn join(place: &[String], child: &str) -> Place {
    place.iter().cloned().chain([child.to_owned()]).collect()
}

/// The fewest files by which `start` imports itself.
fn shortest_loop<'a>(
    arrows: &BTreeMap<&'a Place, BTreeSet<&'a Place>>,
    start: &'a Place,
) -> Option<Vec<&'a Place>> {
    let mut paths = std::collections::VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(path) = paths.pop_front() {
        for next in arrows.get(path.last()?).into_iter().flatten().copied() {
            if next == start {
                return Some(path);
            }
            if seen.insert(next) {
                paths.push_back(path.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}

/// Collects a file's paths.
struct Reader {
    here: Place,
    found: Module,
}

impl Reader {
    /// The leaves of a `use` tree.
    fn leaves(&mut self, tree: &syn::UseTree, mut path: Vec<String>, public: bool) {
        match tree {
            syn::UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.leaves(&part.tree, path, public);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.leaves(tree, path.clone(), public);
                }
            }
            syn::UseTree::Glob(_) => self.found.paths.push((self.here.clone(), path)),
            syn::UseTree::Name(leaf) => self.leaf(path, &leaf.ident, &leaf.ident, public),
            syn::UseTree::Rename(leaf) => self.leaf(path, &leaf.ident, &leaf.rename, public),
        }
    }

    fn leaf(&mut self, mut path: Vec<String>, of: &syn::Ident, name: &syn::Ident, public: bool) {
        if of != "self" {
            path.push(of.to_string());
        }
        if public {
            self.found.exports.insert(name.to_string(), path.clone());
        }
        self.found.paths.push((self.here.clone(), path));
    }
}

fn only_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

impl<'a> Visit<'a> for Reader {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !only_for_tests(&module.attrs) {
            self.here.push(module.ident.to_string());
            visit::visit_item_mod(self, module);
            self.here.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if !only_for_tests(&item.attrs) {
            self.leaves(&item.tree, Vec::new(), !matches!(item.vis, syn::Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if let [first, _, ..] = parts.as_slice()
            && ["crate", "super", "self"].contains(&first.as_str())
        {
            self.found.paths.push((self.here.clone(), parts));
        }
        visit::visit_path(self, path);
    }

    /// `pub(in …)` says who may see, not what is used.
    fn visit_visibility(&mut self, _: &'a syn::Visibility) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(files: &[(&str, &str)]) -> Imports {
        let mut imports = Imports::default();
        for (path, text) in files {
            imports.add(path, text).unwrap();
        }
        imports
    }

    fn loops(files: &[(&str, &str)]) -> Vec<String> {
        imports(files).loops().iter().map(|names| names.join(" ")).collect()
    }

    #[test]
    fn a_file_has_its_place_in_its_crate() {
        let place = |path| place(path).map(|place| name(&place));
        assert_eq!(place("lib.rs").as_deref(), Some("the root"));
        assert_eq!(place("http/mod.rs").as_deref(), Some("http"));
        assert_eq!(place("http/ecs.rs").as_deref(), Some("http::ecs"));
        assert_eq!(
            [place("main.rs"), place("bin/demo.rs"), place("a/tests.rs"), place("a/x.txt")],
            [const { None::<String> }; 4]
        );
    }

    #[test]
    fn two_files_that_import_each_other_are_a_loop() {
        let found = loops(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use super::{c::C, a};"),
            ("c.rs", "use std::fmt;"),
        ]);
        assert_eq!(found, ["a b"]);
    }

    #[test]
    fn a_path_in_code_counts_like_a_use() {
        let found = loops(&[("a.rs", "fn f() { super::b::g(); }"), ("b.rs", "fn g() -> crate::a::A {}")]);
        assert_eq!(found, ["a b"]);
    }

    #[test]
    fn a_re_exported_name_leads_to_the_file_that_defines_it() {
        let found = loops(&[
            ("m/mod.rs", "mod a; mod b; pub use a::A; pub(crate) use self::b::B as Other;"),
            ("m/a.rs", "use super::Other;"),
            ("m/b.rs", "use crate::m::A;"),
        ]);
        assert_eq!(found, ["m::a m::b"]);
    }

    #[test]
    fn a_module_and_its_own_children_are_no_loop() {
        let found = loops(&[("m/mod.rs", "mod a; use self::a::A; struct M;"), ("m/a.rs", "use super::M;")]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn what_only_tests_import_does_not_count() {
        let found = loops(&[
            ("a.rs", "#[cfg(test)] mod tests { use crate::b::B; } #[cfg(test)] use crate::b::C;"),
            ("b.rs", "use crate::a::A;"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn the_shortest_loop_is_named() {
        let found = loops(&[
            ("a.rs", "use crate::{b::B, c::C};"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "use crate::a::A;"),
        ]);
        assert_eq!(found, ["a c", "b c a"]);
    }
}
