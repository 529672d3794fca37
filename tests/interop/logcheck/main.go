// logcheck holds what Commonpoint writes against Go's own implementations: golang.org/x/mod/sumdb/note and
// tlog for notes and proofs, crypto/ed25519 for signatures. Range proofs, which Go has not, are checked by the
// recursion that defines them. It reads one JSON document on standard input, prints what it found and exits
// with 1 at the first thing it does not believe. The tests beside it call it; nothing else does.
package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type proofs struct {
	Inclusion []struct {
		Index, Size int64
		Leaf, Root  string
		Proof       []string
	}
	Consistency []struct {
		Old, New int64
		OldRoot  string `json:"old_root"`
		NewRoot  string `json:"new_root"`
		Proof    []string
	}
	Range []struct {
		First, Size int64
		Leaves      []string
		Root        string
		Proof       []string
	}
}

type signed struct {
	Vkey, Note string
}

type signature struct {
	Name, Public, Text, Signature string
	Valid                         bool
	// Whether the checks that stand before the arithmetic let the case through.
	Reached bool
}

func main() {
	if len(os.Args) != 2 {
		fail("usage: logcheck note|proofs|signatures <document.json")
	}
	decoder := json.NewDecoder(os.Stdin)
	switch os.Args[1] {
	case "note":
		var given signed
		read(decoder, &given)
		openNote(given)
	case "proofs":
		var given proofs
		read(decoder, &given)
		checkProofs(given)
	case "signatures":
		var given []signature
		read(decoder, &given)
		checkSignatures(given)
	default:
		fail("unknown: %s", os.Args[1])
	}
}

// openNote prints the text of the note, opened as any Go client would open it.
func openNote(given signed) {
	verifier, err := note.NewVerifier(given.Vkey)
	if err != nil {
		fail("vkey: %v", err)
	}
	opened, err := note.Open([]byte(given.Note), note.VerifierList(verifier))
	if err != nil {
		fail("note: %v", err)
	}
	tree, err := parseCheckpoint(opened.Text)
	if err != nil {
		fail("checkpoint: %v", err)
	}
	fmt.Printf("%s\n%d\n%x\n", verifier.Name(), tree.N, tree.Hash[:])
}

// parseCheckpoint reads the text with sumdb's own parser, whose first line is a fixed one.
func parseCheckpoint(text string) (tlog.Tree, error) {
	_, rest, _ := strings.Cut(text, "\n")
	return tlog.ParseTree([]byte("go.sum database tree\n" + rest))
}

func checkProofs(given proofs) {
	for _, each := range given.Inclusion {
		err := tlog.CheckRecord(hashes(each.Proof), each.Size, hash(each.Root), each.Index, hash(each.Leaf))
		if err != nil {
			fail("leaf %d of %d: %v", each.Index, each.Size, err)
		}
	}
	for _, each := range given.Consistency {
		err := tlog.CheckTree(hashes(each.Proof), each.New, hash(each.NewRoot), each.Old, hash(each.OldRoot))
		if err != nil {
			fail("from %d to %d: %v", each.Old, each.New, err)
		}
	}
	for _, each := range given.Range {
		tree := partly{first: each.First, leaves: hashes(each.Leaves), outside: hashes(each.Proof)}
		if found := tree.root(0, each.Size); found != hash(each.Root) || tree.bad || len(tree.outside) != 0 {
			fail("%d leaves from %d on of %d: not under this root", len(each.Leaves), each.First, each.Size)
		}
	}
	fmt.Printf("%d %d %d\n", len(given.Inclusion), len(given.Consistency), len(given.Range))
}

// partly is a tree of which some neighbouring leaves are known, and of the rest what a range proof holds: the
// roots of the largest subtrees outside, from left to right.
type partly struct {
	first   int64
	leaves  []tlog.Hash
	outside []tlog.Hash
	bad     bool
}

// root is MTH(D[low:high]) of RFC 6962, with the proof's next hash for every subtree outside.
func (t *partly) root(low, high int64) tlog.Hash {
	if high <= t.first || t.first+int64(len(t.leaves)) <= low {
		if len(t.outside) == 0 {
			t.bad = true
			return tlog.Hash{}
		}
		next := t.outside[0]
		t.outside = t.outside[1:]
		return next
	}
	if high-low == 1 {
		return t.leaves[low-t.first]
	}
	split := int64(1)
	for split*2 < high-low {
		split *= 2
	}
	left := t.root(low, low+split)
	return tlog.NodeHash(left, t.root(low+split, high))
}

func checkSignatures(given []signature) {
	for _, each := range given {
		public := ed25519.PublicKey(unhex(each.Public))
		valid := each.Reached && ed25519.Verify(public, unhex(each.Text), unhex(each.Signature))
		if valid != each.Valid {
			fail("%s: %v here, %v there", each.Name, valid, each.Valid)
		}
	}
	fmt.Printf("%d\n", len(given))
}

func hash(text string) (found tlog.Hash) {
	if copy(found[:], unhex(text)) != len(found) {
		fail("not a hash: %s", text)
	}
	return found
}

func hashes(texts []string) (found []tlog.Hash) {
	for _, text := range texts {
		found = append(found, hash(text))
	}
	return found
}

func unhex(text string) []byte {
	data, err := hex.DecodeString(text)
	if err != nil {
		fail("not hex: %v", err)
	}
	return data
}

func read(decoder *json.Decoder, into any) {
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		fail("document: %v", err)
	}
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}
