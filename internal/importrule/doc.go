// Package importrule holds nothing but the test of who may import whom: DESIGN 7 as a table, checked against what go list
// says. Nobody imports it.
package importrule
