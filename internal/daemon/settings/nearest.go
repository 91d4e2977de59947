package settings

// nearest returns the name that takes the fewest changes to be reached from
// word; of several the first. Without names it is empty.
func nearest(word string, names []string) string {
	best, least := "", -1
	for _, name := range names {
		if d := distance(word, name); least < 0 || d < least {
			best, least = name, d
		}
	}
	return best
}

// distance counts the letters to change, add or drop between a and b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
