-- Deletes a note of answers.
update answers
set note = null
where note = $text;
