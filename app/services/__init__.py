"""Use cases: a public function is a verb an operator would recognise."""
