//! Findings of texts that cannot be read as declarations.

macro_rules! reading {
    ([$next:ident $($others:ident)*] $($before:tt)*) => {
        $next! { [$($others)*] $($before)*
            TooLarge "too-large" Error
                "a file, or all of them together, is over a bound of size or count"
                "A node reads declarations with a bounded amount of memory and time, so that no commit can exhaust it."
                "Split the file; a whole cluster's declarations are far below the bounds."
                "
                # A list of more than 200000 values, or more than 500000 tunnels in all zones together.
                zones: {tun: {type: vxlan}}
                ";
            YamlSyntax "yaml-syntax" Error
                "a file is not YAML"
                "The rest of the file cannot be read behind the place where it stops being YAML."
                "Correct the text at the place shown; the usual cause is indentation or a missing quote."
                "zones: {lan: {type: simple}";
            YamlFeature "yaml-feature" Error
                "a file uses anchors, aliases, tags, merge keys or several documents"
                "A reviewer must see in the lines of a change everything that the change does, and readers of YAML disagree on these."
                "Write the value out where it is needed."
                "
                zones:
                  lan: &plain {type: simple}
                  dmz: *plain
                ";
            NestedTooDeep "nested-too-deep" Error
                "values are nested too deep"
                "No declaration needs so many levels, and unbounded nesting exhausts a reader."
                "Remove the levels."
                "zones: [[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]";
            WrongType "wrong-type" Error
                "a value is of another type than its key takes"
                "A guess at what was meant could be a wrong network."
                "Write a value of the type that the message names."
                "zones: {lan: {type: simple, nodes: node1}}";
            NullValue "null-value" Error
                "a key has no value"
                "An empty value could mean `default`, `none` or `forgotten`."
                "Give the key a value, or remove the key to have its default."
                "
                zones:
                  lan:
                    type: simple
                    mtu:
                ";
            BadValue "bad-value" Error
                "a value is of the right type and not legal"
                "Names and numbers end up in file names, interface names and configuration text; only what is legal there is let in."
                "Use a value within the rule that the message names."
                "zones: {much2long: {type: simple}}";
            UnknownKey "unknown-key" Error
                "a key is not known here"
                "A misspelt option that is silently ignored is an option that is silently off."
                "Correct the spelling, or move the key to the object it belongs to."
                "zones: {lan: {type: simple, dchp: dnsmasq}}";
            MissingKey "missing-key" Error
                "a required key is missing"
                "The object cannot be rendered without it."
                "Add the key."
                "zones: {lan: {mtu: 1500}}";
            DuplicateKey "duplicate-key" Error
                "a key stands twice in one map"
                "Readers of YAML disagree on which of the two counts."
                "Keep one of them."
                "
                zones:
                  lan: {type: simple, mtu: 1400, mtu: 1500}
                ";
            DuplicateId "duplicate-id" Error
                "an object is declared twice"
                "Two files that declare one object would silently override each other."
                "Remove one declaration, or give it another id."
                "
                zones:
                  lan: {type: simple}
                  lan: {type: vxlan}
                ";
            FileNotRead "file-not-read" Error
                "a file below `sdn/` looks like declarations and is not read, or what is there is none that nodes read"
                "Only regular files whose names end in `.yaml` are read; a file that is silently left out is a network that is silently taken away. Links, submodules and names that differ in case only mean other things on other machines, so nodes refuse a commit with them."
                "Rename the file so that it ends in `.yaml`, in lower case, or move it out of `sdn/`."
                in "sdn/network.yml" "zones: {lan: {type: simple}}";
            OtherFile "other-file" Advice
                "something below `sdn/` is no file of declarations"
                "It means nothing to nodes. Somebody may think that it does."
                "Put it elsewhere; if it holds declarations, give it a name that ends in `.yaml`."
                in "sdn/zones.json" "{\"zones\": {\"lan\": {\"type\": \"simple\"}}}";
            DeclarationsOutside "declarations-outside" Warning
                "a file beside `sdn/` reads as declarations"
                "Nodes read `weft.yaml` and what is below `sdn/`. What stands elsewhere is declared nowhere."
                "Move the file below `sdn/`."
                in "zones.yaml" "zones: {lan: {type: simple}}";
        }
    };
}
