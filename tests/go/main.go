// Verify reads a log as a stranger would: it knows the log's address and its keys, and nothing of
// this project. Checkpoints go through the note package of the Go checksum database, tiles through
// its tlog package, proofs through both tlog and transparency-dev's merkle; cosignatures, which
// neither package knows, are checked here with the standard library's Ed25519.
//
// The request is a JSON object on standard input; the answer is one line per thing that was
// verified, and exit code 1 with a reason for the first that does not.
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const maxBody = 1 << 20

// A request names what is to be verified.
type request struct {
	Base        string   `json:"base"`         // address of the log, up to and without /checkpoint
	LogKey      string   `json:"log_key"`      // vkey of the log
	WitnessKeys []string `json:"witness_keys"` // vkeys of type 0x04
	Quorum      int      `json:"quorum"`       // cosignatures that the checkpoint must have
	OldNote     string   `json:"old_note"`     // an older checkpoint of the log
	Receipts    []string `json:"receipts"`     // tlog-proof texts
	Entries     []string `json:"entries"`      // their entries, base64
}

func main() {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fail(err)
	}
	if err := verify(asked); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func verify(asked request) error {
	verifiers, err := verifiersOf(asked)
	if err != nil {
		return err
	}
	text, err := get(asked.Base + "/checkpoint")
	if err != nil {
		return err
	}
	newest, err := open(string(text), verifiers, asked.Quorum)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	fmt.Println("checkpoint", newest.N)
	reader := tlog.TileHashReader(newest, &tiles{base: asked.Base})
	if err := checkOld(asked, verifiers, newest, reader); err != nil {
		return fmt.Errorf("consistency: %w", err)
	}
	for number, receipt := range asked.Receipts {
		entry, err := base64.StdEncoding.DecodeString(asked.Entries[number])
		if err != nil {
			return err
		}
		if err := checkReceipt(receipt, entry, verifiers, asked.Quorum, newest, reader); err != nil {
			return fmt.Errorf("receipt %d: %w", number, err)
		}
		fmt.Println("receipt", number)
	}
	return nil
}

func verifiersOf(asked request) (note.Verifiers, error) {
	log, err := note.NewVerifier(asked.LogKey)
	if err != nil {
		return nil, err
	}
	all := []note.Verifier{log}
	for _, vkey := range asked.WitnessKeys {
		witness, err := newCosigner(vkey)
		if err != nil {
			return nil, err
		}
		all = append(all, witness)
	}
	return note.VerifierList(all...), nil
}

// open returns the tree of a checkpoint that the log and a quorum of witnesses have signed.
func open(text string, verifiers note.Verifiers, quorum int) (tlog.Tree, error) {
	opened, err := note.Open([]byte(text), verifiers)
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 {
		return tlog.Tree{}, errors.New("a checkpoint has three lines")
	}
	signers := map[string]bool{}
	for _, signature := range opened.Sigs {
		signers[signature.Name] = true
	}
	if !signers[lines[0]] {
		return tlog.Tree{}, errors.New("the log itself has not signed")
	}
	if len(signers)-1 < quorum {
		return tlog.Tree{}, fmt.Errorf("%d cosignatures, %d wanted", len(signers)-1, quorum)
	}
	return treeOf(lines)
}

func treeOf(lines []string) (tlog.Tree, error) {
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	hash, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: hash}, err
}

// A cosigner is a witness: tlog-cosignature's timestamped Ed25519, key type 0x04.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("malformed vkey")
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		return nil, err
	}
	material, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(material) != 33 || material[0] != 0x04 {
		return nil, errors.New("not a cosigner's key")
	}
	return &cosigner{parts[0], uint32(hash), ed25519.PublicKey(material[1:])}, nil
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(message, signature []byte) bool {
	if len(signature) != 72 {
		return false
	}
	time := binary.BigEndian.Uint64(signature)
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, message)
	return ed25519.Verify(c.key, []byte(signed), signature[8:])
}

// tiles reads tiles over HTTP; tlog verifies each against the checkpoint before it is used.
type tiles struct{ base string }

func (t *tiles) Height() int                     { return 8 }
func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		// The checksum database says tile/8/<L>/…, tlog-tiles leaves the height out.
		path := strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := get(t.base + "/tile/" + path)
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func get(address string) ([]byte, error) {
	answer, err := http.Get(address)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, maxBody))
}

// checkOld proves from the tiles that the older checkpoint is a prefix of the newest.
func checkOld(asked request, verifiers note.Verifiers, newest tlog.Tree, reader tlog.HashReader) error {
	if asked.OldNote == "" {
		return nil
	}
	old, err := open(asked.OldNote, verifiers, 0)
	if err != nil {
		return err
	}
	path, err := tlog.ProveTree(newest.N, old.N, reader)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(path, newest.N, newest.Hash, old.N, old.Hash); err != nil {
		return err
	}
	err = proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(old.N), uint64(newest.N),
		slices(path), old.Hash[:], newest.Hash[:])
	if err == nil {
		fmt.Println("consistency", old.N, newest.N)
	}
	return err
}

func slices(hashes []tlog.Hash) [][]byte {
	var all [][]byte
	for _, hash := range hashes {
		all = append(all, append([]byte{}, hash[:]...))
	}
	return all
}

// checkReceipt verifies a tlog-proof on its own, and then that the tiles prove the same.
func checkReceipt(text string, entry []byte, verifiers note.Verifiers, quorum int,
	newest tlog.Tree, reader tlog.HashReader) error {
	head, checkpoint, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a tlog-proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		path = append(path, hash)
	}
	tree, err := open(checkpoint, verifiers, quorum)
	if err != nil {
		return err
	}
	leaf := tlog.RecordHash(entry)
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, index, leaf); err != nil {
		return err
	}
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(tree.N),
		rfc6962.DefaultHasher.HashLeaf(entry), slices(path), tree.Hash[:])
	if err != nil {
		return err
	}
	fromTiles, err := tlog.ProveRecord(newest.N, index, reader)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(fromTiles, newest.N, newest.Hash, index, leaf)
}
