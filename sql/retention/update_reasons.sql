-- Replaces the reason of promotions.
update promotions
set why = $replacement
where why = $text;
