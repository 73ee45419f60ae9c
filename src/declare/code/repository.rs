//! Findings of `weft.yaml`, of the trust files, and of the repository as a whole.

macro_rules! repository {
    ([$next:ident $($others:ident)*] $($before:tt)*) => {
        $next! { [$($others)*] $($before)*
            MissingFile "missing-file" Error
                "a file that every repository has is missing"
                "Without `weft.yaml` a node cannot know that the repository is meant for its cluster."
                "Add the file; the message names it and what belongs in it."
                "
                # This file is there, and no weft.yaml beside its directory.
                zones: {lan: {type: simple}}
                ";
            OtherFormat "other-format" Error
                "the repository has a format that this version does not read"
                "A later format may give the same keys another meaning."
                "Upgrade weft on this node."
                in "weft.yaml" "
                weft: 2
                cluster: lab
                ";
            OtherCluster "other-cluster" Error
                "the repository belongs to another cluster"
                "It keeps the signed commits of one cluster out of another."
                "Point the node at its own cluster's repository, or correct `cluster` in its settings."
                in "weft.yaml" "
                # On a node whose settings say `cluster: lab`.
                weft: 1
                cluster: office
                ";
            BadSigner "bad-signer" Error
                "a line of `.weft/allowed_signers` cannot be read"
                "A line that is skipped could take trust away or leave it where it was meant to end, so a commit with such a file is refused."
                "Write `PRINCIPAL namespaces=\"git\",valid-before=\"YYYYMMDDZ\" TYPE KEY`: options are joined by a comma without a space, and may be left out (ALLOWED SIGNERS in ssh-keygen(1))."
                in ".weft/allowed_signers" "alice@example.org";
            SignerUnsupported "signer-unsupported" Error
                "a line of `.weft/allowed_signers` asks for what this version does not verify"
                "A key that nodes cannot verify would look trusted to people and be refused by nodes."
                "Use an ed25519, an ECDSA or a hardware key, or an RSA key of 3072 bits or more: `ssh-keygen -t ed25519`. List each key itself instead of a certificate authority."
                in ".weft/allowed_signers" "
                *@example.org cert-authority ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChCfNbTSh2hLVhKQPFXS4vjXV4rMDVtF5zdJ5vnE
                ";
            SignerTimeZone "signer-time-zone" Error
                "a time in `.weft/allowed_signers` has no `Z`"
                "Without `Z` ssh reads a time in the zone of the machine, so that nodes would disagree on when a key ends."
                "Write the time in UTC with `Z` at the end."
                in ".weft/allowed_signers" "
                alice@example.org valid-before=\"20300101\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChCfNbTSh2hLVhKQPFXS4vjXV4rMDVtF5zdJ5vnE
                ";
            SignerWithoutName "signer-without-name" Warning
                "a line of `.weft/allowed_signers` has no principal that a policy can name"
                "Roles name principals literally; a pattern such as `*@example.org` stands for nobody in particular."
                "Write the principal of this key without `*` and `?`."
                in ".weft/allowed_signers" "
                *@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChCfNbTSh2hLVhKQPFXS4vjXV4rMDVtF5zdJ5vnE
                ";
            RootMissing "root-missing" Error
                "no principal of the role `root` has a key"
                "Without one nobody could ever change the policy again."
                "Add a principal of `.weft/allowed_signers` to `roles.root.principals`."
                in ".weft/policy.yaml" "
                # Nobody of this name has a line in allowed_signers.
                roles: {root: {principals: [mallory@example.org]}}
                ";
            PrincipalWithoutKey "principal-without-key" Warning
                "a role names a principal without a key"
                "The role has no effect for this principal, most often because of a spelling mistake."
                "Add a line for the principal to `.weft/allowed_signers`, or correct its spelling."
                in ".weft/policy.yaml" "
                roles:
                  root: {principals: [alice@example.org, alise@example.org]}
                ";
            RootKeysEnd "root-keys-end" Warning
                "every key of the role `root` ends"
                "After the last one nobody can add or extend a key or change the policy: trust could only be begun anew, by hand on each node."
                "Give somebody of `root` a key without `valid-before`, or commit the next key before the last one ends (`weft trust add NAME KEY --role root`)."
                in ".weft/allowed_signers" "
                alice@example.org valid-before=\"20990101Z\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChCfNbTSh2hLVhKQPFXS4vjXV4rMDVtF5zdJ5vnE
                ";
            RootKeysEnded "root-keys-ended" Warning
                "every key of the role `root` has ended"
                "Nobody can add or extend a key or change the policy any more: nodes refuse it as signed by a key that has ended."
                "Where this is not committed yet, give somebody of `root` a key that is valid. Otherwise begin trust anew: commit a valid key, and introduce each node at that commit (`weft trust introduction`)."
                in ".weft/allowed_signers" "
                alice@example.org valid-before=\"20200101Z\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChCfNbTSh2hLVhKQPFXS4vjXV4rMDVtF5zdJ5vnE
                ";
            RootLimited "root-limited" Error
                "the role `root` has `paths` or a `scope`"
                "Root is who mends what nobody else may touch, the policy included; one that cannot would leave nobody to do it."
                "Remove the key, and give the limited right to another role."
                in ".weft/policy.yaml" "
                roles: {root: {principals: [alice@example.org], paths: ['sdn/**']}}
                ";
            ThresholdUnreachable "threshold-unreachable" Error
                "a role needs more people who sign than it has"
                "Nothing could ever be changed by the role. Principals that share a key are one person."
                "Lower `threshold`; add principals with keys of their own before it is raised."
                in ".weft/policy.yaml" "
                # One person cannot be two.
                roles: {root: {principals: [alice@example.org], threshold: 2}}
                ";
            BadVoid "bad-void" Error
                "a line of `.weft/void` cannot be read"
                "A line that is skipped could leave a commit standing that was meant to be void, so a commit with such a file is refused."
                "Write one commit id of 40 digits `0-9a-f` on a line; `#` begins a comment."
                in ".weft/void" "
                # A short id could come to mean another commit.
                3f1c2d4
                ";
            ThisNodeUndeclared "this-node-undeclared" Error
                "the repository does not declare the node that reads it"
                "A node that was renamed, or has the wrong repository, must not guess what it should be."
                "Declare the node under `nodes`, or correct `node` in its settings."
                "
                # On a node whose settings say `node: node2`.
                nodes: {node1: {}}
                ";
            NothingDeclared "nothing-declared" Warning
                "the repository declares nothing"
                "Most often the files are in another directory than the node's `path` says."
                "Put declarations under `sdn/`."
                "# There are no declarations.";
        }
    };
}
