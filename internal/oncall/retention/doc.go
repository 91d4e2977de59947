// Package retention lists what the policy's calendar holds: whose retention ends
// when, and which refused withdrawals are to be reviewed.
//
// It reads the calendar that the role policy keeps, and the role's states; it
// changes nothing. Erasing is the role's.
package retention
